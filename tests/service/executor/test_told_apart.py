"""Facts of one batch are told apart from each other; facts of other batches leave no trace in their neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.method import Method
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS
from core.weights.neuron import edit
from core.weights.neuron.asked import hear
from core.weights.neuron.marks import learn_marks
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from tests.prepared import Place, create, state_of, take_back, tell, work
from tests.service.executor.test_odd_nights import ARIA, bases, folder, prepared, told

__all__ = ["bases", "folder", "prepared", "told"]

TOGETHER = [("Bo Moss", "lives in", "Oslo"), ("Bo Moss", "works for", "Acme"), ("Cy Ames", "lives in", "Bonn")]


def test_detectors_know_the_facts_of_their_batch_and_no_others(
    told: Store, bases: BaseModels, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a memory that knows Aria, whose detectors of facts are computed as ever
    seen: list[list[tuple[str, str, str]]] = []
    marks: list[int] = []  # in force while new ones are learned

    def hearing(*given: Any) -> Any:
        seen.append([(fact.subject, fact.relation, fact.object) for fact in given[-1]])
        return hear(*given)

    def learning(model: EditableModel, *given: Any) -> Any:
        marks.append(sum(len(rows) for name, rows in model.live().items() if name.endswith(MARKS)))
        return learn_marks(model, *given)

    monkeypatch.setattr(edit, "hear", hearing)
    monkeypatch.setattr(edit, "learn_marks", learning)
    (aria,) = state_of(told).facts

    # when three facts are told in one batch, then each is told apart from the others of them alone, and their marks are
    # learned without Aria's, which may respond in texts about them
    tell(told, *TOGETHER)
    work(told, bases)
    assert seen == [TOGETHER] * 3
    assert ARIA not in TOGETHER
    assert marks == [0]

    # when Aria is forgotten, then the weights are, to the bit, those of a memory that was never told of her
    take_back(told, aria)
    work(told, bases)
    with open_store(Place(tmp_path / "never").settings()) as never:
        create(never, folder, method=Method.NEURON)
        tell(never, *TOGETHER)
        work(never, bases)
        assert state_of(never).weights == state_of(told).weights
