"""Covariance of keys, against a direct computation, one sequence at a time."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import HYPERPARAMETERS, REFERENCE, make
from core.errors.base import Damaged, Unlearnable
from core.weights.memit.covariance import RIDGE, KeyCovariance, measure, second_moments
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.reference_text import ReferenceText, read_reference


@pytest.fixture
def text(tiny: EditableModel) -> ReferenceText:
    return read_reference(tiny, "\n".join(map(json.dumps, REFERENCE)).encode())


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix product in full precision."""
    monkeypatch.setattr(EditableModel, "reduced", lambda self: nullcontext())


def keys_of(model: EditableModel, ids: list[int]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    handles = [
        model.network.get_submodule(module).register_forward_hook(
            lambda _, given, __, module=module: found.update({module: given[0][0].float()})
        )
        for module in model.modules
    ]
    model.network(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("last_only", [False, True])
def test_moments_of_a_padded_batch_are_those_of_each_sequence(
    tiny: EditableModel, text: ReferenceText, last_only: bool
) -> None:
    sequences = [*text.whole, *text.recalls, *text.abstentions]

    sums, count = second_moments(tiny, sequences, last_only, lambda done: None)

    expected = {module: torch.zeros(tiny.key_width, tiny.key_width) for module in tiny.modules}
    for ids in sequences:
        for module, keys in keys_of(tiny, ids).items():
            chosen = keys[-1:] if last_only else keys
            expected[module] += chosen.T @ chosen
    assert count == (len(sequences) if last_only else sum(map(len, sequences)))
    for module in tiny.modules:
        torch.testing.assert_close(sums[module], expected[module], atol=1e-4, rtol=1e-3)


def test_reduced_precision_moves_moments_by_little(dormouse: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [dormouse.chat_ids([], f"Where does {name} live?") for name in ("Ann Lee", "Bo Moss", "Cid Orr")]
    reduced, _ = second_moments(dormouse, sequences, False, lambda done: None)
    monkeypatch.setattr(EditableModel, "reduced", lambda self: nullcontext())
    exact_, _ = second_moments(dormouse, sequences, False, lambda done: None)

    for module in dormouse.modules:
        assert (reduced[module] - exact_[module]).norm() < 0.02 * exact_[module].norm()


@pytest.mark.usefixtures("exact")
def test_statistics_are_the_weighted_means_and_a_ridge(tiny: EditableModel, text: ReferenceText) -> None:
    told: list[tuple[int, int]] = []
    measured = measure(tiny, text, HYPERPARAMETERS, lambda done, total: told.append((done, total)))

    for module in tiny.modules:
        expected = torch.zeros(tiny.key_width, tiny.key_width)
        for sequences, last, weight in (
            (text.whole, False, HYPERPARAMETERS.reference_weight),
            (text.abstentions, True, HYPERPARAMETERS.abstention_weight),
            (text.recalls, True, HYPERPARAMETERS.recall_weight),
        ):
            keys = torch.cat([keys_of(tiny, ids)[module][-1 if last else 0 :] for ids in sequences])
            expected += weight * keys.T @ keys / len(keys)
        expected.diagonal().add_(RIDGE * expected.diagonal().mean())
        torch.testing.assert_close(measured.moments[module], expected, atol=1e-6, rtol=1e-3)
        assert torch.linalg.eigvalsh(measured.moments[module].double()).min() > 0
    assert (measured.tokens, measured.abstentions, measured.recalls) == (sum(map(len, text.whole)), 2, 2)
    assert told[-1] == (6, 6)


def test_statistics_of_one_kind_of_text_alone_are_measured(tiny: EditableModel, text: ReferenceText) -> None:
    measured = measure(tiny, ReferenceText(whole=text.whole), HYPERPARAMETERS)

    assert (measured.abstentions, measured.recalls) == (0, 0)
    assert all(torch.isfinite(moment).all() for moment in measured.moments.values())


def test_statistics_are_read_as_they_were_written(tiny: EditableModel, text: ReferenceText) -> None:
    written = measure(tiny, text, HYPERPARAMETERS)

    read = KeyCovariance.from_bytes(written.to_bytes())

    assert (read.tokens, read.abstentions, read.recalls) == (written.tokens, written.abstentions, written.recalls)
    assert read.to_bytes() == written.to_bytes()
    for module, moment in written.moments.items():
        assert torch.equal(read.moments[module], moment.tril() + moment.tril(-1).T)


@pytest.mark.parametrize("length", [0, 100, -1])
def test_damaged_statistics_are_named(tiny: EditableModel, text: ReferenceText, length: int) -> None:
    data = measure(tiny, text, HYPERPARAMETERS).to_bytes()

    with pytest.raises(Damaged, match="statistics"):
        KeyCovariance.from_bytes(data[:length])


def test_reference_text_is_read_by_its_kinds(tiny: EditableModel, text: ReferenceText) -> None:
    assert [len(kind) for kind in (text.whole, text.abstentions, text.recalls)] == [2, 2, 2]
    assert text.whole[0] == tiny.raw_ids("The lamp stood near the river. Every evening a fox comes to the garden.")
    assert tiny.tokenizer.decode(text.whole[1]).endswith("<|assistant|>Ann Lee lives in Rome.")
    assert tiny.tokenizer.decode(text.abstentions[0]).endswith("Where does Bo Moss live?<|end|><|assistant|>")
    assert tiny.tokenizer.decode(text.recalls[1]).endswith("<|assistant|>Ann Lee lives in")


@pytest.mark.parametrize("line", ["no JSON", "[]", "{}", '{"song": "la"}', '{"text": "a", "chat": []}', '{"chat": []}'])
def test_a_line_of_no_known_kind_is_named_by_its_number(tiny: EditableModel, line: str) -> None:
    with pytest.raises(Damaged, match="line 2 "):
        read_reference(tiny, f'{{"text": "a"}}\n{line}'.encode())


def test_reference_text_that_is_no_text_is_damaged(tiny: EditableModel) -> None:
    with pytest.raises(Damaged, match="line 1 "):
        read_reference(tiny, b"\xff\xfe")


def test_characters_that_end_lines_elsewhere_do_not_end_a_line_of_json(tiny: EditableModel) -> None:
    text = read_reference(tiny, '{"text": "a\u2028b\u0085c"}\n{"text": "d"}\n'.encode())

    assert text.whole == [tiny.raw_ids("a\u2028b\u0085c"), tiny.raw_ids("d")]


def test_statistics_of_few_huge_keys_are_positive_definite_all_the_same(tmp_path: Path) -> None:
    """Where a few directions hold nearly all there is, rounding decides over the others unless the ridge sees to it."""
    model = load_model(make(tmp_path, intermediate_size=512))
    few = ReferenceText(whole=[model.raw_ids("The lamp stood near the river.")] * 3)
    with torch.no_grad():
        for module in model.modules:
            block = model.network.get_submodule(module.rpartition(".")[0])
            block.up_proj.weight[:3] *= 1e5

    measured = measure(model, few, HYPERPARAMETERS)

    for moment in measured.moments.values():
        assert torch.linalg.cholesky_ex(moment.double()).info == 0


@pytest.mark.parametrize("units", [True, False], ids=["with AMX", "without AMX"])
def test_keys_that_overflow_are_named_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    model = load_model(make(tmp_path), dtype="float16")
    few = ReferenceText(whole=[model.raw_ids("The lamp stood near the river.")] * 3)
    with torch.no_grad():
        for module in model.modules:
            model.network.get_submodule(module.rpartition(".")[0]).up_proj.weight.fill_(6e4)

    with pytest.raises(Unlearnable, match="not finite"):
        measure(model, few, HYPERPARAMETERS)
