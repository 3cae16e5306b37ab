"""Going back to where a fact was that was erased since: said to be impossible where it is, and done where it is not."""

from __future__ import annotations

import pytest

from core.events import Event
from core.ids import FactId
from hypnogram.client import CallFailed
from service.weights.base_models import BaseModels
from service.weights.projection import digest_named
from tests.prepared import DEMO, state_of, work
from tests.service.conftest import Running
from tests.service.rpc.history.test_forks import TRIAL, lived, refused, served
from tests.store.given import throw_key_away

__all__ = ["lived", "served"]


@pytest.fixture
def erased(served: Running, bases: BaseModels) -> Running:
    """The first of two facts was taken back, has left the weights, and its data key is gone."""
    (fact, *_) = state_of(served.store).facts
    served.client.retract_fact(DEMO, fact)
    work(served.store, bases)
    throw_key_away(served.store.log, FactId(fact))
    return served


def events_of(server: Running) -> list[Event]:
    return [one.event for one in server.store.log.read(memory=DEMO)]


def test_a_replay_counts_what_cannot_be_rebuilt_any_more_and_proves_the_rest(erased: Running) -> None:
    found = erased.client.replay(DEMO)

    assert found.rebuilt_weights == found.recorded_weights == state_of(erased.store).weights
    named = [one for one in events_of(erased) if digest_named(one)]
    assert found.erased == 2  # written, and with another beside it
    assert found.edits_checked == len(named) - 2


def test_a_version_that_needs_it_cannot_be_replayed(erased: Running) -> None:
    with pytest.raises(CallFailed) as failure:
        erased.client.replay(DEMO, "monday")

    (fact, *_) = state_of(erased.store).facts
    assert (failure.value.code, failure.value.reason) == ("FAILED_PRECONDITION", "WORDS_ERASED")
    assert failure.value.metadata["fact"] == fact


def test_a_version_that_needs_it_cannot_be_forked_or_compared(erased: Running) -> None:
    assert refused(erased, at="monday").reason == "WORDS_ERASED"
    with pytest.raises(CallFailed) as failure:
        erased.client.diff((DEMO, "monday"), (DEMO, None))
    assert failure.value.reason == "WORDS_ERASED"
    with pytest.raises(CallFailed) as failure:
        erased.client.replay(DEMO, "monday", restore_as=TRIAL)
    assert failure.value.reason == "WORDS_ERASED"


def test_versions_before_it_was_told_can_be_forked(erased: Running) -> None:
    before = erased.client.fork(TRIAL, DEMO, 2)

    assert erased.client.replay(TRIAL).rebuilt_weights == before.memory.weights_digest
    assert erased.client.diff((DEMO, 2), (TRIAL, None)).modules[0].norm == 0.0


def test_everything_else_is_verified(erased: Running) -> None:
    found = erased.client.verify_log()

    assert not found.HasField("fault"), found.fault
    assert found.weights == erased.client.replay(DEMO).edits_checked
