"""Replay of nights: every digest that one names is met again, and one that is wrong is found at its version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.decide.commands import CancelSleep, RecordRescale
from core.errors.base import DigestMismatch
from core.evolve import evolve
from core.state.memory import Memory
from core.state.plan import plan
from core.state.sleep import Step
from core.state.work import SleepStep, next_work
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from service.weights.projection import digest_named, in_force
from service.weights.replay import ReplayReport
from tests.core.samples import LIFE, digest
from tests.prepared import DEMO, Place, state_of, work
from tests.service.executor.test_loop import editor_, record
from tests.service.executor.test_sleep_steps import LENIENT, told
from tests.service.executor.test_sleep_whole import at, begin, history

__all__ = ["told"]


def replayed(store: Store, place: Place) -> ReplayReport:
    models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
    return models.replay(DEMO, None, lambda done, total, step: None, lambda: False)


def up_to(step: Step, store: Store, bases: BaseModels) -> Memory:
    """The state once a sleep has come to `step`, one by one: an executor might be past it before it is stopped."""
    worker = editor_(store, bases)
    while not at(step)(state := state_of(store)):
        owed = next_work(state)
        assert isinstance(owed, SleepStep)
        record(store, worker.perform(owed, state))
    return state


def test_a_night_and_one_that_was_cancelled_are_rebuilt_digest_by_digest(told: Place, bases: BaseModels) -> None:
    with open_store(told.settings()) as store:
        begin(store, LENIENT)
        rested = work(store, bases)
        asleep = begin(store, LENIENT)
        assert asleep.sleep is not None
        trained = up_to(Step.GATE, store, bases)
        assert plan(trained) != plan(rested)
        record(store, CancelSleep(sleep=asleep.sleep.id))

        named = [weights for one in history(store) if (weights := digest_named(one.event))]
        found = replayed(store, told)
        assert found.edits_checked == len(named) >= 6  # clean, injected, trained, rescaled; trained, rolled back
        assert found.rebuilt == found.recorded == named[-1] == rested.weights


def test_a_wrong_digest_in_a_night_is_found_at_its_version(told: Place, bases: BaseModels) -> None:
    with open_store(told.settings()) as store:
        begin(store, LENIENT)
        state = up_to(Step.RESCALE, store, bases)
        owed = next_work(state)
        assert isinstance(owed, SleepStep)
        result = editor_(store, bases).perform(owed, state)
        assert isinstance(result, RecordRescale)
        record(store, replace(result, weights=digest("weights nobody has")))

        with pytest.raises(DigestMismatch) as mismatch:
            replayed(store, told)

    assert mismatch.value.metadata == {
        "version": str(state.version + 1),
        "recorded": digest("weights nobody has"),
        "rebuilt": result.weights,
    }


def test_weights_are_checked_whenever_the_plan_changes() -> None:
    """What replay compares tells apart whatever the plan tells apart."""
    state = Memory()
    for event in LIFE:
        before, state = state, evolve(state, event)
        if plan(before) != plan(state):
            assert in_force(before) != in_force(state), type(event)
