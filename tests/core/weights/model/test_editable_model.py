"""A loaded model: whose tensors are whose, what is installed and put back, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.tiny import INNER, WIDTH, make
from core.errors.base import ModelUnavailable
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import Subject, load_subject


def ones(subject: Subject) -> dict[str, torch.Tensor]:
    return {module: torch.ones(WIDTH, INNER) for module in subject.modules}


def test_a_twin_shares_every_tensor_but_the_edited_ones(tiny_base: Subject) -> None:
    twin = tiny_base.twin()
    edited = {f"{module}.weight" for module in tiny_base.modules}

    theirs = dict(twin.model.named_parameters()) | dict(twin.model.named_buffers())
    for name, tensor in [*tiny_base.model.named_parameters(), *tiny_base.model.named_buffers()]:
        assert (theirs[name].data_ptr() == tensor.data_ptr()) is (name not in edited), name
        assert torch.equal(theirs[name], tensor)


def test_an_edit_of_a_twin_is_not_seen_by_others(tiny_base: Subject) -> None:
    first, second, before = tiny_base.twin(), tiny_base.twin(), tiny_base.digest()

    first.install(ones(first))

    assert first.digest() != before
    assert (second.digest(), tiny_base.digest()) == (before, before)
    assert weights_digest(first.pristine) == before


def test_a_twin_has_hooks_of_its_own(tiny_base: Subject) -> None:
    twin, seen = tiny_base.twin(), list[int]()
    handle = twin.model.get_submodule(twin.modules[0]).register_forward_hook(lambda *_: seen.append(1))

    tiny_base.model(input_ids=torch.tensor([[1, 2]]))
    assert seen == []
    twin.model(input_ids=torch.tensor([[1, 2]]))
    handle.remove()

    assert seen == [1]


def test_weights_are_live_inside_the_block_and_what_was_before_afterwards(tiny: Subject) -> None:
    mine = {module: tensor + 1 for module, tensor in tiny.pristine.items()}
    tiny.install(mine)

    with tiny.with_weights(tiny.pristine):
        assert tiny.digest() == weights_digest(tiny.pristine)

    assert tiny.digest() == weights_digest(mine)


def test_weights_are_put_back_after_an_error_too(tiny: Subject) -> None:
    before = tiny.digest()

    with pytest.raises(ZeroDivisionError), tiny.with_weights(ones(tiny)):
        _ = 1 / 0

    assert tiny.digest() == before


def test_pristine_weights_survive_what_is_done_to_the_live_ones(tiny: Subject) -> None:
    with torch.no_grad():
        for tensor in tiny.live().values():
            tensor.zero_()

    assert all(tensor.abs().sum() > 0 for tensor in tiny.pristine.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_edited_modules_have_the_dtype_asked_for(tiny_folder: Path, dtype: str) -> None:
    subject = load_subject(tiny_folder, dtype=dtype)

    assert {tensor.dtype for tensor in subject.pristine.values()} == {getattr(torch, dtype)}
    assert {tensor.dtype for tensor in subject.live().values()} == {getattr(torch, dtype)}


def test_modules_may_be_chosen(tiny_folder: Path) -> None:
    subject = load_subject(tiny_folder, modules=["model.layers.0.mlp.down_proj"])

    assert subject.modules == ("model.layers.0.mlp.down_proj",)
    assert subject.block_of(subject.modules[0]) == 0


def test_two_loads_of_one_folder_have_one_digest_and_another_seed_has_another(
    tiny_folder: Path, tiny_base: Subject, tmp_path: Path
) -> None:
    assert load_subject(tiny_folder).digest() == tiny_base.digest()
    assert load_subject(make(tmp_path, seed=1)).digest() != tiny_base.digest()


def test_a_model_of_no_supported_family_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path, "gpt2")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"gpt2"', '"no-such-family"'))

    with pytest.raises(ModelUnavailable, match="no model loads"):
        load_subject(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no model loads"):
        load_subject(tmp_path)


def test_ends_of_a_turn_are_those_of_the_generation_settings_or_of_the_tokenizer(tiny: Subject) -> None:
    held = tiny.model.generation_config.eos_token_id
    try:
        found = []
        for ends in ([2, 4], 2, None):
            tiny.model.generation_config.eos_token_id = ends
            found.append(tiny.end_tokens())
    finally:
        tiny.model.generation_config.eos_token_id = held

    assert found == [(2, 4), (2,), (2,)]


@pytest.mark.parametrize("ends", [[0, 2], [2, 0], 2])
def test_a_turn_ends_as_the_chat_template_ends_it(
    tiny: Subject, monkeypatch: pytest.MonkeyPatch, ends: list[int] | int
) -> None:
    monkeypatch.setattr(tiny.model.generation_config, "eos_token_id", ends)

    assert tiny.tokenizer.convert_ids_to_tokens(tiny.end_of_turn()) == "<|end|>"


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "chat_template.jinja").unlink()

    with pytest.raises(ModelUnavailable, match=r"chat_template\.jinja"):
        load_subject(folder)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
class TestQuantized:
    """Everything but the edited modules may be quantized."""

    @pytest.fixture
    def subject(self, tmp_path: Path, quantization: str) -> Subject:
        folder = make(tmp_path, hidden_size=64, intermediate_size=128, head_dim=32)
        return load_subject(folder, quantization=quantization, dtype="bfloat16")

    def test_edited_modules_are_held_as_they_were_trained(self, subject: Subject, tmp_path: Path) -> None:
        plain = load_subject(tmp_path, dtype="bfloat16")

        assert subject.modules == plain.modules
        assert subject.digest() == plain.digest()
        other = subject.model.get_submodule("model.layers.0.self_attn.q_proj")
        assert type(other).__name__ in ("Linear4bit", "Linear8bitLt")
        assert other.weight.dtype in (torch.uint8, torch.int8)

    def test_a_twin_says_what_its_model_says_and_is_edited_alone(self, subject: Subject) -> None:
        ids, before = torch.tensor([[1, 40, 41, 42]]), subject.digest()
        twin = subject.twin()
        same = subject.model(input_ids=ids).logits

        torch.testing.assert_close(twin.model(input_ids=ids).logits, same)
        twin.install({module: tensor * 0 for module, tensor in twin.pristine.items()})

        assert not torch.equal(twin.model(input_ids=ids).logits, same)
        assert subject.digest() == before
        quantized = "model.layers.0.self_attn.q_proj"
        mine, theirs = (one.model.get_submodule(quantized).weight for one in (subject, twin))
        assert mine.data_ptr() == theirs.data_ptr()
