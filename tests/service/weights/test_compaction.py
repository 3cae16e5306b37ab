"""Compaction over the wire: fewer columns, nearly the same weights, recorded like any change of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.decide.commands import CancelSleep
from core.events.history import AdaptersCompacted
from core.state.plan import plan
from core.state.work import SleepStep, next_work
from hypnogram.client import CallFailed
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.projection import digest_named
from tests.prepared import DEMO, Place, start_sleep, state_of, tell, work
from tests.service.conftest import Running
from tests.service.executor.test_loop import editor_, record
from tests.service.rpc.history.test_forks import lived, served, serving_at

__all__ = ["lived", "served"]


@pytest.fixture(scope="module")
def rested_once(lived: Place, bases: BaseModels, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two nights have left two adapters. To be copied, not changed."""
    place = lived.copy(tmp_path_factory.mktemp("rested"))
    with open_store(place.settings()) as store:
        for seed in (1, 2):
            start_sleep(store, seed)
            work(store, bases)
        assert len(state_of(store).adapters) >= 2
    return place


@pytest.fixture
def rested(rested_once: Place, bases: BaseModels, tmp_path: Path) -> Iterator[Running]:
    with serving_at(rested_once.copy(tmp_path / "rested"), bases) as running:
        yield running


def refused(server: Running, bound: float = 0.0) -> CallFailed:
    """Why a compaction is refused; nothing was written."""
    position = server.store.log.position()
    with pytest.raises(CallFailed) as failure:
        server.client.compact(DEMO, bound)
    assert server.store.log.position() == position
    return failure.value


def test_one_adapter_of_fewer_columns_does_what_all_did(rested: Running) -> None:
    before = state_of(rested.store)
    answer = rested.client.compact(DEMO, 0.3)
    after = state_of(rested.store)
    (adapter,) = after.adapters.values()

    assert answer.columns_before == sum(one.rank for one in before.adapters.values())
    assert answer.columns_after == adapter.rank < answer.columns_before
    assert 0 < answer.change <= 0.3
    assert (answer.weights_before, answer.weights_after) == (before.weights, after.weights)
    assert set(adapter.facts) == {fact for one in before.adapters.values() for fact in one.facts}
    assert after.edits == before.edits
    assert answer.version == before.version + 1 == after.version


def test_the_change_is_what_a_diff_measures(rested: Running) -> None:
    clean = rested.client.diff((DEMO, 2), (DEMO, None))
    answer = rested.client.compact(DEMO, 0.3)
    found = rested.client.diff((DEMO, answer.version - 1), (DEMO, answer.version))

    learned = {one.module: one.norm for one in clean.modules}
    assert answer.change == pytest.approx(max(one.norm / learned[one.module] for one in found.modules))
    assert not found.facts


def test_a_compaction_is_replayed_to_the_bit_and_old_versions_keep_their_weights(rested: Running) -> None:
    old = rested.client.memory(DEMO)
    rested.client.compact(DEMO, 0.3)
    found, before = rested.client.replay(DEMO), rested.client.replay(DEMO, old.version)

    assert found.rebuilt_weights == found.recorded_weights == state_of(rested.store).weights
    assert before.rebuilt_weights == old.memory.weights_digest != found.rebuilt_weights
    assert found.edits_checked == before.edits_checked + 1
    events = [one.event for one in rested.store.log.read(memory=DEMO)]
    assert [type(one) for one in events][-1] is AdaptersCompacted
    assert digest_named(events[-1]) == found.rebuilt_weights


def test_a_later_sleep_is_undone_to_the_compacted_weights(rested: Running, bases: BaseModels) -> None:
    rested.client.compact(DEMO, 0.3)
    compacted = state_of(rested.store)
    tell(rested.store, ("Cy Ames", "lives in", "Oslo"))
    told = work(rested.store, bases)
    sleep, writing = start_sleep(rested.store, seed=3), editor_(rested.store, bases)
    while (asleep := state_of(rested.store)).adapters == compacted.adapters:
        owed = next_work(asleep)
        assert isinstance(owed, SleepStep)
        record(rested.store, writing.perform(owed, asleep))
    assert asleep.weights != told.weights
    record(rested.store, CancelSleep(sleep=sleep))
    undone = state_of(rested.store)

    assert (plan(undone), undone.adapters) == (plan(told), compacted.adapters)
    assert rested.client.replay(DEMO).rebuilt_weights == undone.weights == told.weights


def test_a_compaction_that_would_not_spare_columns_is_refused(rested: Running) -> None:
    rested.client.compact(DEMO, 0.3)
    failure = refused(rested, 1e-9)

    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "NOTHING_TO_COMPACT")


def test_a_memory_without_adapters_has_nothing_to_compact(served: Running) -> None:
    failure = refused(served)

    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "NOTHING_TO_COMPACT")
    assert "no adapter is in force" in str(failure)


def test_a_memory_that_sleeps_is_not_compacted(served: Running) -> None:
    start_sleep(served.store, seed=1)

    assert refused(served).reason == "SLEEP_IN_PROGRESS"


@pytest.mark.parametrize("bound", [-0.1, 1.0, 2.0, float("nan"), float("inf")])
def test_a_bound_out_of_range_is_refused(served: Running, bound: float) -> None:
    failure = refused(served, bound)

    assert (failure.code, list(failure.fields)) == ("INVALID_ARGUMENT", ["bound"])


def test_a_memory_that_is_not_there_is_not_compacted(served: Running) -> None:
    with pytest.raises(CallFailed) as failure:
        served.client.compact("nobody")
    assert failure.value.reason == "MEMORY_UNKNOWN"
