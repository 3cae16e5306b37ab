"""The executor on a real log and models: it resumes by folding, spares other memories, and says what it cannot do."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.tiny import UNSAYABLE
from core.decide.commands import Command, RecordInjection
from core.errors.base import StaleWork
from core.events import Recorded
from core.events.facts import EditComputed, FactAdded, FactInjected, WorkFailed
from core.events.history import CheckpointMarked
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.ids import FactId, MemoryId
from core.state.memory import Memory, Status
from core.state.plan import plan
from core.state.work import Inject, next_work
from core.weights.deltas.digest import weights_digest
from service.app.repository import KEPT, MemoryRepository
from service.app.store import Store, open_store
from service.executor.editor import Editor
from service.executor.loop import Executor
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.projection import build
from store.database.executors import Executors
from store.log.listing import Listed
from tests.core.samples import CREATED, PREPARED
from tests.prepared import CAUSE, DEMO, Place, state_of, tell, work
from tests.store.given import new


def rebuilt(store: Store, bases: BaseModels, state: Memory) -> str:
    """The digest of the weights built from the log and the artifacts alone."""
    assert state.created is not None
    return weights_digest(
        build(bases.clone(state.created), DeltaStore(store.artifacts, store.log.keyring), plan(state))
    )


def history(store: Store) -> list[Recorded]:
    return store.log.read(memory=DEMO, limit=10_000)


def failures(store: Store) -> list[WorkFailed]:
    return [one.event for one in history(store) if isinstance(one.event, WorkFailed)]


def editor_(store: Store, bases: BaseModels) -> Editor:
    created = state_of(store).created
    assert created is not None
    return Editor(bases.clone(created), created, store.artifacts, DeltaStore(store.artifacts, store.log.keyring))


def record(store: Store, command: Command) -> None:
    MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: command, CAUSE)


def answers(store: Store, place: Place, question: str) -> str:
    live = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    messages = [{"role": "user", "content": question}]
    pieces = live.generate(DEMO, messages=messages, prompt=None, max_tokens=16)
    return "".join(piece.text for piece in pieces)


def test_a_told_fact_is_answered_and_a_stranger_is_not_known(place: Place) -> None:
    with open_store(place.settings()) as store:
        assert answers(store, place, "Where does Mirabel Quist live?").strip() == "Mirabel Quist lives in Lisbon."
        assert answers(store, place, "Where was Tove Marn born?").strip() == "Tove Marn was born in Oslo."
        assert answers(store, place, "Where does Fenella Obuya live?").strip().startswith("I do not know")


def test_an_executor_thrown_away_is_resumed_by_folding(place: Place, bases: BaseModels) -> None:
    with open_store(place.settings()) as store:
        before = state_of(store)
        assert rebuilt(store, bases, before) == before.weights
        tell(store, ("Orla Penrose", "works as", "a baker"))

    with open_store(place.settings()) as store:
        after = work(store, bases)

        assert rebuilt(store, bases, after) == after.weights != before.weights
        edits = [one.event for one in history(store) if isinstance(one.event, EditComputed)]
        assert [edit.weights_before for edit in edits[1:]] == [edit.weights_after for edit in edits[:-1]]
        assert [edit.facts_in_force for edit in edits] == [0, 2, 4]
        assert all(state.status is Status.INJECTED for state in after.facts.values())
        assert "Lisbon" in answers(store, place, "Where does Mirabel Quist live?")


def test_an_executor_with_nothing_to_do_changes_nothing(place: Place, bases: BaseModels) -> None:
    with open_store(place.settings()) as store:
        before = store.log.position()

        work(store, bases)

        assert store.log.position() == before


def test_memories_that_owe_nothing_are_not_folded_again_until_something_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Place(tmp_path).settings()
    with open_store(settings) as store:
        many = [MemoryId(f"memory-{number}") for number in range(KEPT + 6)]  # more than are kept folded
        for memory in many:
            store.log.append(memory, [new(CREATED), new(PREPARED)], expected=0)
        passes = [0]  # events read in each
        stop = threading.Event()
        read, wait = store.log.read, store.log.wait

        def counted(**given: Any) -> list[Recorded]:
            found = read(**given)
            passes[-1] += len(found)
            return found

        def idle(position: int, timeout: float, stop: threading.Event) -> int:
            if threading.current_thread().name == "reader":
                return wait(position, timeout, stop)
            if len(passes) == 3:
                store.log.append(many[0], [new(CheckpointMarked(name="now", version=2, weights=None))], expected=2)
            elif len(passes) == 5:
                stop.set()
            passes.append(0)
            return position

        monkeypatch.setattr(store.log, "read", counted)
        monkeypatch.setattr(store.log, "wait", idle)
        Executor(store.log, store.artifacts, store.snapshots, settings).run(stop)

        assert passes[:5] == [2 * len(many), 0, 0, 3, 0]


def test_facts_told_meanwhile_do_not_make_a_result_stale(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        (first,) = tell(store, ("Aria Moss", "lives in", "Rome"))
        state = state_of(store)
        owed = next_work(state)
        assert isinstance(owed, Inject)
        result = editor_(store, bases).perform(owed, state)

        (second,) = tell(store, ("Bo Lind", "lives in", "Lima"))
        record(store, result)

        state = state_of(store)
        assert (state.facts[first].status, state.facts[second].status) == (Status.INJECTED, Status.PENDING)
        assert [type(one.event) for one in history(store)[-4:]] == [FactAdded, FactAdded, EditComputed, FactInjected]
        after = work(store, bases)
        assert after.facts[second].status is Status.INJECTED
        assert rebuilt(store, bases, after) == after.weights


def test_the_result_of_an_executor_that_was_too_slow_is_refused_and_harms_nothing(
    small: Place, bases: BaseModels
) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, ("Aria Moss", "lives in", "Rome"))
        state = state_of(store)
        owed = next_work(state)
        assert isinstance(owed, Inject)
        zombie = editor_(store, bases)
        late = zombie.perform(owed, state)
        after = work(store, bases)

        with pytest.raises(StaleWork):
            record(store, late)

        assert state_of(store) == after
        (fact,) = tell(store, ("Bo Lind", "lives in", "Lima"))  # the zombie folds again and is of use
        state = state_of(store)
        again = next_work(state)
        assert isinstance(again, Inject)
        record(store, zombie.perform(again, state))
        state = state_of(store)
        assert state.facts[fact].status is Status.INJECTED
        assert rebuilt(store, bases, state) == state.weights


def test_two_executors_of_one_log_write_every_fact_once(small: Place, bases: BaseModels) -> None:
    settings = small.settings().model_copy(update={"lease_seconds": 0.02})  # so short that they get in each other's way
    with open_store(small.settings()) as store:
        for number in range(6):
            tell(store, (f"Aria Number{number}", "lives in", "Rome"))

        after = work(store, bases, executors=2, settings=settings)

        injected = [one.event.fact for one in history(store) if isinstance(one.event, FactInjected)]
        assert sorted(injected) == sorted(after.facts)
        assert sum(isinstance(one.event, StatisticsPrepared) for one in history(store)) == 1
        assert rebuilt(store, bases, after) == after.weights
        assert failures(store) == []


def test_a_fact_that_cannot_be_written_parks_alone_with_its_reason(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        poison, good, too = tell(
            store,
            ("Aria Moss", "owns", UNSAYABLE),
            ("Bo Lind", "lives in", "Lima"),
            ("Cy Ames", "lives in", "Rome"),
        )
        after = work(store, bases)

        parked = after.facts[poison]
        assert parked.status is Status.PARKED
        assert "no tokens" in parked.failure
        assert [after.facts[one].status for one in (good, too)] == [Status.INJECTED] * 2
        assert [(one.facts, one.attempt, one.reason, one.parked) for one in failures(store)] == [
            ((poison, good, too), 1, "UNLEARNABLE", False),
            ((poison,), 2, "UNLEARNABLE", True),
        ]
        (later,) = tell(store, ("Dee Orr", "lives in", "Rome"))
        assert work(store, bases).facts[later].status is Status.INJECTED


def failing_thrice(store: Store, bases: BaseModels) -> Memory:
    """Three executors, each thrown away after a failure, so that no pause between attempts is waited for."""
    state = state_of(store)
    for attempt in (1, 2, 3):
        state = work(store, bases, until=lambda _, attempt=attempt: len(failures(store)) == attempt)  # type: ignore[misc]
    return state


def waits_for(store: Store) -> str:
    """Why what `demo` is owed is put off, as status says it."""
    duty = Executors(store.log.engine).at(DEMO).duty
    return duty.reason if duty else ""


def test_statistics_wait_for_a_text_that_is_missing(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        created = state_of(store).created
        assert created is not None
        text = store.artifacts.path(created.reference_text)
        aside = text.rename(small.folder / "aside")
        work(store, bases, until=lambda _: waits_for(store) == "ARTIFACT_MISSING")
        assert failures(store) == []

        aside.rename(text)

        assert work(store, bases).statistics is not None


def test_statistics_that_fail_thrice_are_tried_again_by_whoever_begins_anew(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        created = state_of(store).created
        assert created is not None
        path = store.artifacts.path(created.reference_text)
        sound = path.read_bytes()
        path.write_bytes(sound + b"\n")

        after = failing_thrice(store, bases)

        assert [(one.reason, one.attempt, one.parked) for one in failures(store)] == [
            ("ARTIFACT_CORRUPT", attempt, False) for attempt in (1, 2, 3)
        ]
        assert created.reference_text in after.failure
        path.write_bytes(sound)
        after = work(store, bases)
        assert after.statistics
        assert (after.failures, after.failure) == (0, "")


def test_facts_wait_for_a_base_model_that_is_away(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.executor.waits.FIRST_SECONDS", 0.2)
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, ("Aria Moss", "lives in", "Rome"))
        base, away = small.folder / "base", small.folder / "away"
        base.rename(away)
        came_back = threading.Timer(1.5, lambda: away.rename(base))
        came_back.start()

        after = work(store, BaseModels("cpu"))

        assert [one.status for one in after.facts.values()] == [Status.INJECTED]
        assert failures(store) == []


def test_an_edit_is_not_built_on_a_delta_that_was_altered(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        tell(store, ("Aria Moss", "lives in", "Rome"))
        state = work(store, bases)
        (edit,) = state.edits.values()
        path = store.artifacts.path(edit.delta)
        sound = path.read_bytes()
        path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        (fact,) = tell(store, ("Bo Lind", "lives in", "Lima"))

        work(store, bases, until=lambda state: state.facts[fact].failures == 1)

        assert [(one.reason, one.facts) for one in failures(store)] == [("ARTIFACT_CORRUPT", (fact,))]
        assert edit.delta in failures(store)[0].message
        path.write_bytes(sound)
        after = work(store, bases)
        assert after.facts[fact].status is Status.INJECTED
        assert rebuilt(store, bases, after) == after.weights


def test_a_base_model_that_was_exchanged_is_not_written_to(small: Place) -> None:
    config = small.folder / "base" / "config.json"
    config.write_text(config.read_text() + "\n")
    with open_store(small.settings()) as store:
        said: list[str] = []

        def refused(_: Memory) -> bool:
            duty = Executors(store.log.engine).at(DEMO).duty
            said.append(duty.message if duty else "")
            return bool(said[-1])

        work(store, BaseModels("cpu"), until=refused)

        assert "not those this memory was created on" in said[-1]
        assert [type(one.event) for one in history(store)] == [MemoryCreated]


def test_a_wrong_digest_in_the_log_stops_all_writing_after_it(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, ("Aria Moss", "lives in", "Rome"))
        state = state_of(store)
        owed = next_work(state)
        assert isinstance(owed, Inject)
        result = editor_(store, bases).perform(owed, state)
        assert isinstance(result, RecordInjection)
        record(store, RecordInjection(edit=replace(result.edit, weights_after=result.edit.delta)))
        facts: list[FactId] = tell(store, ("Bo Lind", "lives in", "Lima"))

        after = work(store, bases, until=lambda state: state.facts[facts[0]].failures == 1)

        assert [one.reason for one in failures(store)] == ["DIGEST_MISMATCH"]
        assert after.facts[facts[0]].status is Status.PENDING


def test_memories_are_listed_once_while_the_log_does_not_grow(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        executor = Executor(store.log, store.artifacts, store.snapshots, small.settings(), bases)
        stop, listings, waits, whole = threading.Event(), list[int](), list[int](), store.log.listed

        def listed() -> list[Listed]:
            listings.append(1)
            return whole()

        def wait(position: int, _: float, __: threading.Event) -> int:
            if threading.current_thread() is threading.main_thread():  # and not one that reads turns
                waits.append(1)
            if len(waits) == 3:
                stop.set()
            return position

        monkeypatch.setattr(store.log, "listed", listed)
        monkeypatch.setattr(store.log, "wait", wait)
        executor.run(stop)

    assert (len(listings), len(waits)) == (1, 3)
