"""Where an adapter looks when its training begins."""

from __future__ import annotations

import pytest
import torch

from benchmarks.support.tiny import HYPERPARAMETERS
from core.weights.lora.initialisation import RESPONSE, directions
from core.weights.memit.covariance import KeyCovariance, measure
from core.weights.model.activations import capture
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_reference
from service.settings import DORMOUSE
from tests.core.weights.conftest import fact
from tests.prepared import EVERY


@pytest.fixture(scope="module")
def statistics(base: EditableModel) -> KeyCovariance:
    lines = (DORMOUSE / "reference.jsonl").read_bytes().splitlines()[::EVERY]
    return measure(base, read_reference(base, b"\n".join(lines)), HYPERPARAMETERS)


def contexts(model: EditableModel) -> list[Context]:
    told = (fact("Aria Vale", "lives in", "Lisbon"), fact("Bo Lind", "plays", "the cello"))
    return [context for index, one in enumerate(told) for context in contexts_of(model, index, one, ())]


def test_lessons_are_seen_and_reference_text_is_not(dormouse: EditableModel, statistics: KeyCovariance) -> None:
    ids = tuple(dormouse.raw_ids("Every evening a fox comes to the garden."))
    text = capture(dormouse, [Context(0, ids, 1, tuple(map(str, ids[1:])))])
    seen = capture(dormouse, contexts(dormouse))

    rows = directions(dormouse, statistics.moments, contexts(dormouse), rank=8)

    for module, of_module in rows.items():
        assert of_module.shape == (8, dormouse.key_width)
        learned, reference = ((one.keys[module] @ of_module.T).norm(dim=1).mean() for one in (seen, text))
        random = torch.randn(8, dormouse.key_width, generator=torch.Generator().manual_seed(0))
        apart, alike = (
            learned / reference,
            (seen.keys[module] @ random.T).norm() / (text.keys[module] @ random.T).norm(),
        )
        assert apart > 3 * alike


def test_the_response_is_measured_in_hidden_coordinates(tiny: EditableModel) -> None:
    seen = capture(tiny, contexts(tiny))
    rank = len(seen.rows)

    rows = directions(tiny, {module: torch.eye(tiny.key_width) for module in tiny.modules}, contexts(tiny), rank)

    for module, of_module in rows.items():
        response = (seen.keys[module] @ of_module.T).square().sum(1).mean().sqrt()
        assert float(response) == pytest.approx(RESPONSE * float(seen.hidden.square().mean().sqrt()), rel=1e-3)


def test_few_lessons_leave_rows_over(tiny: EditableModel) -> None:
    one = contexts(tiny)[:1]

    rows = directions(tiny, {module: torch.eye(tiny.key_width) for module in tiny.modules}, one, rank=64)

    assert {len(of_module) for of_module in rows.values()} == {len(one[0].names)}
