"""Facts of a memory of neurons are told apart from the people that it was told of before, while it knows them."""

from __future__ import annotations

from typing import Any

import pytest

from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS
from core.weights.neuron import edit
from service.app.store import Store
from service.weights.base_models import BaseModels
from tests.golden.neurons import heard
from tests.prepared import state_of, take_back, tell, work
from tests.service.executor.test_odd_nights import ARIA, bases, folder, prepared, told

__all__ = ["bases", "folder", "prepared", "told"]


def test_detectors_know_the_people_of_earlier_batches_until_these_are_forgotten(
    told: Store, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a memory that knows Aria
    seen: list[tuple[set[str], int]] = []

    def hear(model: EditableModel, *given: Any) -> Any:
        marks = next(rows for name, rows in model.live().items() if name.endswith(MARKS) and len(rows))
        seen.append(({fact.subject for fact in given[-1]}, len(marks)))
        return heard(model, *given)

    monkeypatch.setattr(edit, "hear", hear)
    (aria,) = state_of(told).facts

    # when two others are told of in one batch, then the detectors of both know all three, and their marks respond
    tell(told, ("Bo Lind", "lives in", "Oslo"), ("Cy Ames", "lives in", "Bonn"))
    work(told, bases)
    (people, marks), second = seen
    assert people == {ARIA[0], "Bo Lind", "Cy Ames"}
    assert second == (people, marks)

    # when Aria is forgotten, then those of the next fact know the two alone
    take_back(told, aria)
    work(told, bases)
    tell(told, ("Gil Hart", "lives in", "Rome"))
    work(told, bases)
    assert seen[-1] == ({"Bo Lind", "Cy Ames", "Gil Hart"}, marks)
