"""A loaded model: which tensors are shared, what is installed and put back, and what it says about itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import INNER, WIDTH, make
from core.errors.base import ModelUnavailable
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import EditableModel, load_model


def ones(model: EditableModel) -> dict[str, torch.Tensor]:
    return {module: torch.ones(WIDTH, INNER) for module in model.modules}


def test_a_twin_shares_every_tensor_but_the_edited_ones(tiny_base: EditableModel) -> None:
    clone = tiny_base.clone()
    edited = {f"{module}.weight" for module in tiny_base.modules}

    theirs = dict(clone.network.named_parameters()) | dict(clone.network.named_buffers())
    for name, tensor in [*tiny_base.network.named_parameters(), *tiny_base.network.named_buffers()]:
        assert (theirs[name].data_ptr() == tensor.data_ptr()) is (name not in edited), name
        assert torch.equal(theirs[name], tensor)


def test_an_edit_of_a_twin_is_not_seen_by_others(tiny_base: EditableModel) -> None:
    first, second, before = tiny_base.clone(), tiny_base.clone(), tiny_base.digest()

    first.install(ones(first))

    assert first.digest() != before
    assert (second.digest(), tiny_base.digest()) == (before, before)
    assert weights_digest(first.base_weights) == before


def test_a_twin_has_hooks_of_its_own(tiny_base: EditableModel) -> None:
    clone, seen = tiny_base.clone(), list[int]()
    handle = clone.network.get_submodule(clone.modules[0]).register_forward_hook(lambda *_: seen.append(1))

    tiny_base.network(input_ids=torch.tensor([[1, 2]]))
    assert seen == []
    clone.network(input_ids=torch.tensor([[1, 2]]))
    handle.remove()

    assert seen == [1]


def test_weights_are_live_inside_the_block_and_what_was_before_afterwards(tiny: EditableModel) -> None:
    mine = {module: tensor + 1 for module, tensor in tiny.base_weights.items()}
    tiny.install(mine)

    with tiny.with_weights(tiny.base_weights):
        assert tiny.digest() == weights_digest(tiny.base_weights)

    assert tiny.digest() == weights_digest(mine)


def test_weights_are_put_back_after_an_error_too(tiny: EditableModel) -> None:
    before = tiny.digest()

    with pytest.raises(ZeroDivisionError), tiny.with_weights(ones(tiny)):
        _ = 1 / 0

    assert tiny.digest() == before


def test_pristine_weights_survive_what_is_done_to_the_live_ones(tiny: EditableModel) -> None:
    with torch.no_grad():
        for tensor in tiny.live().values():
            tensor.zero_()

    assert all(tiny.base_weights[module].abs().sum() > 0 for module in tiny.modules)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_edited_modules_have_the_dtype_asked_for(tiny_folder: Path, dtype: str) -> None:
    model = load_model(tiny_folder, dtype=dtype)

    assert {model.base_weights[module].dtype for module in model.modules} == {getattr(torch, dtype)}
    assert {model.weight(module).dtype for module in model.modules} == {getattr(torch, dtype)}


def test_modules_may_be_chosen(tiny_folder: Path) -> None:
    model = load_model(tiny_folder, modules=["model.layers.0.mlp.down_proj"])

    assert model.modules == ("model.layers.0.mlp.down_proj",)
    assert model.block_of(model.modules[0]) == 0


def test_two_loads_of_one_folder_have_one_digest_and_another_seed_has_another(
    tiny_folder: Path, tiny_base: EditableModel, tmp_path: Path
) -> None:
    assert load_model(tiny_folder).digest() == tiny_base.digest()
    assert load_model(make(tmp_path, seed=1)).digest() != tiny_base.digest()


def test_a_model_of_no_supported_family_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path, "gpt2")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"gpt2"', '"no-such-family"'))

    with pytest.raises(ModelUnavailable, match="no model loads"):
        load_model(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no model loads"):
        load_model(tmp_path)


def test_ends_of_a_turn_are_those_of_the_generation_settings_or_of_the_tokenizer(tiny: EditableModel) -> None:
    held = tiny.network.generation_config.eos_token_id
    try:
        end_tokens = []
        for ends in ([2, 4], 2, None):
            tiny.network.generation_config.eos_token_id = ends
            end_tokens.append(tiny.end_tokens())
    finally:
        tiny.network.generation_config.eos_token_id = held

    assert end_tokens == [(2, 4), (2,), (2,)]


@pytest.mark.parametrize("ends", [[0, 2], [2, 0], 2])
def test_a_turn_ends_as_the_chat_template_ends_it(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch, ends: list[int] | int
) -> None:
    monkeypatch.setattr(tiny.network.generation_config, "eos_token_id", ends)

    assert tiny.tokenizer.convert_ids_to_tokens(tiny.end_of_turn()) == "<|end|>"


@pytest.mark.parametrize("ends", [2, [2, 3], None])
def test_a_model_without_a_chat_template_is_asked_in_lines_of_which_one_is_an_answer(
    tmp_path: Path, ends: list[int] | int | None
) -> None:
    folder = make(tmp_path)
    (folder / "chat_template.jinja").unlink()
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))

    model = load_model(folder)

    asked = model.chat_text([["Who is Bo?", "A baker."]], "Where does Bo live?")
    assert asked == "<|bos|>Question: Who is Bo?\nAnswer:\nA baker.\nQuestion: Where does Bo live?\nAnswer:\n"
    (line_break,) = model.tokenizer("\n", add_special_tokens=False).input_ids
    assert model.end_of_turn() == line_break
    assert set(model.end_tokens()) >= {2, line_break}
    assert all(token in (2, 3) or "\n" in model.tokenizer.decode(token) for token in model.end_tokens())


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
class TestQuantized:
    """Everything but the edited modules may be quantized."""

    @pytest.fixture
    def model(self, tmp_path: Path, quantization: str) -> EditableModel:
        folder = make(tmp_path, hidden_size=64, intermediate_size=128, head_dim=32)
        return load_model(folder, quantization=quantization, dtype="bfloat16")

    def test_edited_modules_are_held_as_they_were_trained(self, model: EditableModel, tmp_path: Path) -> None:
        plain = load_model(tmp_path, dtype="bfloat16")

        assert model.modules == plain.modules
        assert model.digest() == plain.digest()
        unedited = model.network.get_submodule("model.layers.0.self_attn.q_proj")
        assert type(unedited).__name__ in ("Linear4bit", "Linear8bitLt")
        assert unedited.weight.dtype in (torch.uint8, torch.int8)

    def test_a_twin_says_what_its_model_says_and_is_edited_alone(self, model: EditableModel) -> None:
        ids, before = torch.tensor([[1, 40, 41, 42]]), model.digest()
        clone = model.clone()
        same = model.network(input_ids=ids).logits

        torch.testing.assert_close(clone.network(input_ids=ids).logits, same)
        clone.install({module: tensor * 0 for module, tensor in clone.base_weights.items()})

        assert not torch.equal(clone.network(input_ids=ids).logits, same)
        assert model.digest() == before
        quantized = "model.layers.0.self_attn.q_proj"
        mine, theirs = (one.network.get_submodule(quantized).weight for one in (model, clone))
        assert mine.data_ptr() == theirs.data_ptr()

    def test_a_copy_in_which_edits_are_computed_has_the_weights_that_run(self, model: EditableModel) -> None:
        ids = torch.tensor([[1, 40, 41, 42]])

        copied = model.in_half()

        for module in ("model.layers.0.self_attn.q_proj", "model.layers.2.mlp.gate_proj"):
            layer = copied.network.get_submodule(module)
            assert layer.weight.dtype is torch.bfloat16
            x = torch.randn(8, layer.in_features, dtype=torch.bfloat16)
            torch.testing.assert_close(layer(x), model.network.get_submodule(module)(x), rtol=1e-2, atol=1e-3)
        assert not any("bit" in type(layer).__name__ for layer in copied.network.modules())
        assert copied.digest() == model.digest()
        torch.testing.assert_close(
            copied.network(input_ids=ids).logits, model.network(input_ids=ids).logits, rtol=3e-2, atol=3e-2
        )

    def test_a_gradient_passes_every_layer(self, model: EditableModel) -> None:
        layer = model.network.get_submodule("model.layers.0.self_attn.q_proj")
        x = torch.randn(8, layer.in_features, dtype=torch.bfloat16, requires_grad=True)
        plain = model.in_half().network.get_submodule("model.layers.0.self_attn.q_proj")

        layer(x).square().sum().backward()
        through, x.grad = x.grad, None
        plain(x).square().sum().backward()

        assert x.grad is not None
        torch.testing.assert_close(through, x.grad, rtol=5e-2, atol=5e-2)
