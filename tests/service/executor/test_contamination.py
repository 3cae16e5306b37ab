"""Contamination: an edit with which answers about others say a told object is undone, and its fact parked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.support.place import BRIEF, start_sleep
from benchmarks.support.tiny import make
from core.events.facts import EditComputed, WorkFailed
from core.events.sleep import ControlsMeasured
from core.evolve import fold
from core.ids import FactId
from core.state.memory import Memory, Status
from core.unchanged import Contamination
from service.app.store import open_store
from service.executor.work import locality
from service.weights.base_models import BaseModels
from tests.core.samples import ARIA, BO, CREATED, PREPARED, added
from tests.prepared import Place, create, state_of, tell, work


def told(folder: Path, bases: BaseModels, limit: float) -> tuple[Memory, Memory, FactId, list[object]]:
    """A memory without a phrasebook before and after one fact, and its events; `limit` is the policy's."""
    place = Place(folder)
    profile = make(place.folder / "base") / "hypnogram.json"
    values = {name: value for name, value in json.loads(profile.read_text()).items() if name != "phrasebook"}
    profile.write_text(json.dumps(values | {"sleep": {"contamination_limit": limit, "untold_limit": 1.0}}))
    with open_store(place.settings()) as store:
        create(store, str(place.folder / "base"))
        before = work(store, bases)
        (fact,) = tell(store, ("Aria Moss", "lives in", "Rome"))
        work(store, bases)
        return before, state_of(store), fact, [recorded.event for recorded in store.log.read(limit=100)]


@pytest.fixture
def contaminated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks for the fact itself in the place of a stranger, which certainly is answered by the told object."""
    monkeypatch.setattr(locality, "TOKENS", 64)  # because a tiny vocabulary spells a name in many
    monkeypatch.setattr(locality, "_controls", lambda memory, facts, *_: ([facts[0].wordings.questions[0]], [], []))


@pytest.mark.usefixtures("contaminated")
def test_an_edit_beyond_the_limit_is_undone_and_the_fact_parked_with_the_numbers(
    tmp_path: Path, bases: BaseModels
) -> None:
    before, memory, fact, events = told(tmp_path, bases, limit=0.5)

    (failure,) = [event for event in events if isinstance(event, WorkFailed)]
    assert (failure.reason, failure.parked) == ("CONTAMINATED", True)
    assert memory.facts[fact].status is Status.PARKED
    assert "100% of answers about strangers" in memory.facts[fact].failure
    assert "allows 50% of strangers" in memory.facts[fact].failure
    assert not any(isinstance(event, EditComputed) for event in events)
    assert memory.weights == before.weights


@pytest.mark.usefixtures("contaminated")
def test_an_edit_within_the_limit_records_its_shares(tmp_path: Path, bases: BaseModels) -> None:
    _, memory, fact, events = told(tmp_path, bases, limit=1.0)

    assert memory.facts[fact].status is Status.INJECTED
    (edit,) = [event for event in events if isinstance(event, EditComputed)]
    assert edit.unchanged is not None
    assert edit.unchanged.contamination == Contamination(strangers=1.0, namesakes=0.0, untold=0.0, asked=1)
    assert memory.unchanged == edit.unchanged


@pytest.mark.usefixtures("contaminated")
def test_an_audit_measures_told_objects_and_distance_against_the_base_model(tmp_path: Path, bases: BaseModels) -> None:
    told(tmp_path, bases, limit=1.0)
    place = Place(tmp_path)
    with open_store(place.settings()) as store:
        # when a memory that already says the fact is audited
        start_sleep(store, 1, BRIEF, kind="nap")
        memory = work(store, bases)
        (measured,) = [one.event for one in store.log.read(limit=100) if isinstance(one.event, ControlsMeasured)]

    # then it is compared with the base model, not with the weights before the audit
    assert measured.distance is not None
    assert measured.distance.contamination == Contamination(strangers=1.0, namesakes=0.0, untold=0.0, asked=1)
    assert min(measured.distance.text, measured.distance.questions) > 0
    assert memory.unchanged is not None
    assert memory.unchanged.contamination == measured.distance.contamination


def test_strangers_and_namesakes_are_asked_what_the_facts_answer_and_subjects_all_else() -> None:
    memory = fold((replace(CREATED, phrasebook={}), PREPARED, added(ARIA), added(BO)))

    strangers, namesakes, untold = locality._controls(memory, [ARIA, BO], 8, seed=1)

    assert [len(questions) for questions in (strangers, namesakes, untold)] == [8] * 3
    assert not any(name in question for question in (*strangers, *namesakes) for name in ("Aria Moss", "Bo Lind"))
    assert all(any(part in question for part in ("Aria", "Moss", "Bo", "Lind")) for question in namesakes)
    assert all(("Aria Moss" in question) != ("Bo Lind" in question) for question in untold)
