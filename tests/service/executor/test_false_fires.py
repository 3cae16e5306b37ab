"""A fact whose neuron would respond too often in other text is parked, before anything is computed where it can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.support.tiny import make
from core.events.facts import WorkFailed
from core.state.false_fires import false_fires
from core.state.memory import Status
from core.weights.model.editable_model import EditableModel
from core.weights.neuron import edit
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.detectors import Detector
from core.weights.neuron.negatives import Negatives
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from tests.golden import neurons
from tests.golden.neurons import by_hand
from tests.prepared import Place, create, state_of, tell, work

RATE, LIMIT = 60.0, 100.0


@pytest.fixture
def store(small: Place) -> Iterator[Store]:
    """A memory on a tiny model whose detectors, which are made by hand, all respond at `RATE` of other tokens."""

    def detector(
        model: EditableModel, block: int, against: Negatives, subject: str, beginnings: Beginnings
    ) -> Detector:  # fmt: skip
        made = neurons._detector(model, block, against, subject, beginnings)
        return replace(made, certificate=replace(made.certificate, false_fires=RATE))

    profile = make(small.folder / "other") / "hypnogram.json"
    sleep = {"false_fires_limit": LIMIT}
    profile.write_text(json.dumps(json.loads(profile.read_text()) | {"method": "neuron", "sleep": sleep}))
    own = replace(small, folder=small.folder / "own").settings()
    with open_store(own) as opened, by_hand(), pytest.MonkeyPatch.context() as patched:  # undone before `by_hand` is
        patched.setattr(edit, "detect", detector)
        create(opened, str(small.folder / "other"))
        yield opened


def test_a_neuron_that_would_exceed_the_limit_is_parked_with_the_numbers(store: Store, bases: BaseModels) -> None:
    (first,) = tell(store, ("Aria Moss", "lives in", "Rome"))
    before = work(store, bases)
    (second,) = tell(store, ("Bo Lind", "lives in", "Oslo"))
    after = work(store, bases)

    assert (false_fires(before), false_fires(after)) == (RATE, RATE)
    assert [after.facts[fact].status for fact in (first, second)] == [Status.INJECTED, Status.PARKED]
    assert "at 60 of a million tokens of other text and its own at 60" in after.facts[second].failure
    assert after.weights == before.weights


def test_nothing_is_computed_for_facts_that_wait_once_the_limit_is_reached(
    store: Store, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tell(store, ("Aria Moss", "lives in", "Rome"), ("Bo Lind", "lives in", "Oslo"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(edit, "detect", neurons._detector)  # of which none responds elsewhere
        work(store, bases)
    created = state_of(store).created
    assert created is not None

    from service.executor.work import neurons as work_of_neurons

    (late,) = tell(store, ("Cy Ames", "lives in", "Bonn"))
    monkeypatch.setattr(work_of_neurons, "false_fires", lambda memory, without: LIMIT)
    monkeypatch.setattr(work_of_neurons, "compute_neurons", lambda *given: pytest.fail("it was computed"))
    after = work(store, bases)

    (failure,) = [event.event for event in store.log.read(limit=100) if isinstance(event.event, WorkFailed)]
    assert (failure.reason, failure.parked) == ("FALSE_FIRES_EXCEEDED", True)
    assert after.facts[late].status is Status.PARKED
    assert [after.facts[fact].status for fact in told] == [Status.INJECTED] * 2
