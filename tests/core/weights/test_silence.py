"""On which texts neurons change nothing is known from what the base model reads in them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.support.tiny import WIDTH
from core.weights import silence
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.inputs import mlp_inputs
from core.weights.silence import Silence

TEXTS = ("Ann Lee lives in Rome.", "The lamp stood near the river.", "Ann Lee lives in Oslo.")


def texts(model: EditableModel) -> list[tuple[int, ...]]:
    return [tuple(model.raw_ids(text)) for text in TEXTS]


def at_token(model: EditableModel, text: int, block: int = 0, token: int = -1) -> torch.Tensor:
    """A row that responds at the last token of one text, or at another one, and nowhere else in any of them."""
    read = mlp_inputs(model, block, [*texts(model), texts(model)[0][:1]])[:-1]
    here = read[text][token]
    rows = torch.cat(read)
    others = rows[(rows - here).norm(dim=1) > 1e-4]
    direction = torch.linalg.solve(others.T @ others + 1e-3 * torch.eye(WIDTH), here)
    direction /= here @ direction
    low = (1 + float((others @ direction).max())) / 2
    assert low < 1 - 1e-3
    return torch.cat([direction / (1 - low), torch.tensor([-low / (1 - low)]), torch.ones(WIDTH)])[None]


def logits(model: EditableModel, text: tuple[int, ...]) -> torch.Tensor:
    with torch.no_grad():
        return torch.as_tensor(model.network(input_ids=torch.tensor([text])).logits)


@pytest.mark.parametrize("block", [0, 1])
def test_where_a_neuron_responds_silence_does_not_hold_and_elsewhere_nothing_changes(
    tiny: EditableModel, block: int
) -> None:
    asked, mlp = texts(tiny), list(tiny.neurons)[block]
    before = [logits(tiny, text) for text in asked]
    tiny.install({mlp: at_token(tiny, text=1, block=block)})

    held = Silence(tiny).holds(asked)

    assert held == [True, False, True]
    assert [torch.equal(logits(tiny, text), kept) for text, kept in zip(asked, before, strict=True)] == held


def test_a_beginning_that_texts_share_is_looked_at_in_each(tiny: EditableModel) -> None:
    asked, mlp = texts(tiny), next(iter(tiny.neurons))
    assert asked[0][:6] == asked[2][:6] != asked[1][:6]
    tiny.install({mlp: at_token(tiny, text=0, token=5)})

    assert Silence(tiny).holds(asked) == [False, True, False]


def test_nothing_is_known_once_matrices_are_edited(tiny: EditableModel) -> None:
    module = tiny.modules[0]
    tiny.install({module: tiny.base_weights[module] + 1e-3})

    assert Silence(tiny).holds(texts(tiny)) == [False] * len(TEXTS)


def test_the_base_model_reads_each_text_once(tiny: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.install({next(iter(tiny.neurons)): at_token(tiny, text=1)})
    known = Silence(tiny)
    first = known.holds(texts(tiny))
    live = tiny.digest()
    monkeypatch.setattr(silence, "inputs_at", lambda *given: pytest.fail("it was run again"))

    assert known.holds(texts(tiny)) == first
    assert tiny.digest() == live
