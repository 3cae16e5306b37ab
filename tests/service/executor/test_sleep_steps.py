"""Nights of a model of random weights: what an executor does when a step cannot be done, and by itself."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest

from core.errors.base import Unlearnable
from core.events import Recorded
from core.events.facts import WorkFailed
from core.events.sleep import AdapterTrained, SleepCompleted, SleepRolledBack, SleepStarted
from core.ids import Digest
from core.policy import SleepPolicy, Training
from core.state.memory import Memory
from core.weights.lora.training import Trained, train_adapter
from service.app.store import Store, open_store
from service.executor.work import train
from service.weights.base_models import BaseModels
from store.artifacts import Artifacts
from store.database.executors import Executors
from tests.prepared import DEMO, Place, state_of, tell, work
from tests.service.executor.test_sleep_whole import begin, history, last_night, rebuilt

LENIENT = SleepPolicy(
    training=Training(steps=4, rank=2, batch=2, rehearsal=2, learning_rate=1e-4), trainings=1, refreshes=1, probes=1,
    controls=2, texts=2, perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0,
)  # fmt: skip


@pytest.fixture
def told(small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A memory of one fact, whose executors wait for nothing between attempts."""
    monkeypatch.setattr("core.state.work.RETRY_SECONDS", (0.0, 0.0, 0.0))
    with open_store(small.settings()) as store:
        tell(store, ("Aria Moss", "lives in", "Rome"))
        work(store, bases)
    return small


def failures(store: Store) -> list[tuple[str, int, str, bool]]:
    events = [one.event for one in history(store)]
    return [(one.work, one.attempt, one.reason, one.parked) for one in events if isinstance(one, WorkFailed)]


def ends(events: list[Recorded]) -> list[SleepCompleted | SleepRolledBack]:
    return [one.event for one in events if isinstance(one.event, (SleepCompleted, SleepRolledBack))]


def unharmed(store: Store, bases: BaseModels, before: Memory, after: Memory) -> bool:
    return after.weights == before.weights == rebuilt(store, bases, after)


def test_a_night_goes_on_to_its_end(told: Place, bases: BaseModels) -> None:
    with open_store(told.settings()) as store:
        begin(store, LENIENT)
        after = work(store, bases)

        assert last_night(after).completed
        assert rebuilt(store, bases, after) == after.weights
        assert failures(store) == []


def test_each_training_of_a_night_rehearses_other_texts(
    place: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[set[tuple[int, ...]]] = []

    def watched(*given: Any, **named: Any) -> Trained:
        rehearsed.append({tuple(text) for text in given[3]})
        return train_adapter(*given, **named)

    with open_store(place.settings()) as store:
        monkeypatch.setattr(train, "train_adapter", watched)
        begin(store, replace(LENIENT, trainings=2, gate=1.0))  # so the gate turns facts back
        work(store, bases)

    first, second = rehearsed
    assert len(first & second) < len(first) / 2


def test_no_two_trainings_of_nights_with_consecutive_seeds_draw_alike() -> None:
    seeds = [train.seed_of(sleep, training) for sleep in range(30) for training in range(4)]

    assert len(set(seeds)) == len(seeds)


def test_a_night_waits_for_room_on_a_full_disk_and_then_goes_on(
    told: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(artifacts: Artifacts, data: bytes) -> Digest:
        raise OSError(errno.ENOSPC, "No space left on device")

    def waits_for_room(store: Store) -> bool:
        duty = Executors(store.log.engine).at(DEMO).duty
        return duty is not None and (duty.work, duty.reason) == ("train", "DISK_FULL")

    with open_store(told.settings()) as store:
        begin(store, LENIENT)
        monkeypatch.setattr(Artifacts, "put", full)
        work(store, bases, until=lambda _: waits_for_room(store))
        assert failures(store) == []

        monkeypatch.undo()

        assert last_night(work(store, bases)).completed


def test_a_step_that_fails_is_tried_again_and_then_undoes_the_night(
    told: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("an error that was not foreseen")

    with open_store(told.settings()) as store:
        before = begin(store, LENIENT)
        monkeypatch.setattr(train, "train_adapter", fails)
        after = work(store, bases)

        assert failures(store) == [
            ("train", 1, "ValueError", False), ("train", 2, "ValueError", False), ("train", 3, "ValueError", True),
        ]  # fmt: skip
        (end,) = ends(history(store))
        assert isinstance(end, SleepRolledBack)
        assert (end.reason, "train failed: ValueError" in end.message) == ("failed", True)
        assert unharmed(store, bases, before, after)
        monkeypatch.undo()
        begin(store, LENIENT)
        assert last_night(work(store, bases)).completed


def test_a_loss_that_is_not_a_number_undoes_the_night_at_once(
    told: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*_: object, **__: object) -> None:
        raise Unlearnable("training diverged at step 1: its loss is not a number; lower the learning rate")

    with open_store(told.settings()) as store:
        before = begin(store, LENIENT)
        monkeypatch.setattr(train, "train_adapter", diverges)
        after = work(store, bases)

        assert failures(store) == [("train", 1, "UNLEARNABLE", True)]
        assert "lower the learning rate" in last_night(after).reason
        assert unharmed(store, bases, before, after)


def test_a_memory_under_pressure_sleeps_by_itself(told: Place, bases: BaseModels) -> None:
    with open_store(told.settings()) as store:
        tired = told.settings().model_copy(update={"sleep_pressure": 1e-6})
        work(store, bases, until=lambda state: bool(state.nights) or state.sleep is not None, settings=tired)
        work(store, bases)

        (started,) = [one for one in history(store) if isinstance(one.event, SleepStarted)]
        assert isinstance(started.event, SleepStarted)
        assert (started.event.kind, started.event.trigger, started.cause.actor) == ("sleep", "pressure", "schedule")
        assert len(ends(history(store))) == 1


def test_facts_told_during_a_night_do_not_disturb_it(told: Place, bases: BaseModels) -> None:
    with open_store(told.settings()) as store:
        begin(store, LENIENT)
        (fact,) = tell(store, ("Bo Lind", "lives in", "Lima"))
        after = work(store, bases)

        (trained,) = [one.event for one in history(store) if isinstance(one.event, AdapterTrained)]
        assert fact not in trained.facts
        assert after.facts[fact].in_weights
        assert last_night(after).completed
        assert rebuilt(store, bases, after) == after.weights
        assert state_of(store) == store_state(store)


def store_state(store: Store) -> Memory:
    """Folded from the log in one go."""
    from core.evolve import fold

    return fold(one.event for one in store.log.read(memory=DEMO, limit=10_000))
