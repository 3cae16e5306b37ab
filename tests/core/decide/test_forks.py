"""Memories that begin as another one was: what is told to the one is nothing to the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide import decide
from core.decide.commands import ForkMemory
from core.errors.archive import MemoryTaken
from core.errors.history import AsleepThen
from core.events import Event
from core.events.history import MemoryForked
from core.evolve import fold
from core.ids import MemoryId
from core.state.memory import NOTHING, Memory
from core.state.plan import plan
from core.state.work import next_work
from tests.core.samples import ARIA, BO, DEE, LIFE, add, digest
from tests.core.sleep_samples import ASLEEP, AWAKE, do, inject, morning, retract, start, withdraw
from tests.core.strategies import logs

HASH = digest("last event shared")


def fork(at: Memory) -> ForkMemory:
    whole = (at.version, at.version)
    return ForkMemory(memory=MemoryId("copy"), parent=MemoryId("demo"), at=at, hash=HASH, whole=whole)


def forked(at: Memory) -> Memory:
    """The state of the fork: the parent's up to there, and its own first event."""
    return fold(decide(NOTHING, fork(at)), onto=at)


def test_a_fork_begins_with_one_event_that_names_what_it_shares() -> None:
    (event,) = decide(NOTHING, fork(AWAKE))

    assert event == MemoryForked(parent=MemoryId("demo"), version=AWAKE.version, hash=HASH, weights=AWAKE.weights)
    copy = forked(AWAKE)
    assert (copy.version, copy.forked) == (AWAKE.version + 1, event)


def test_a_fork_has_what_its_parent_had_and_owes_what_it_owed() -> None:
    before = do(AWAKE, add(DEE, request="new"), retract(BO))
    copy = forked(before)

    assert (copy.facts, plan(copy), copy.weights) == (before.facts, plan(before), before.weights)
    assert next_work(copy) == next_work(before)
    assert decide(copy, add(DEE, request="new")) == ()


def test_both_go_their_own_way() -> None:
    copy = forked(AWAKE)

    copy = do(copy, retract(ARIA))
    copy = do(copy, withdraw(copy))
    parent = do(AWAKE, add(DEE, request="new"))
    parent = do(parent, inject(parent, DEE))

    assert DEE.id not in copy.facts
    assert parent.facts[ARIA.id] == AWAKE.facts[ARIA.id]
    assert plan(parent) != plan(copy)


def test_a_fork_of_a_fork_names_its_own_parent() -> None:
    copy = forked(AWAKE)
    event = MemoryForked(parent=MemoryId("copy"), version=copy.version, hash=HASH, weights=copy.weights)

    assert fold([event], onto=copy).forked == event


def test_a_memory_that_exists_does_not_become_a_fork() -> None:
    with pytest.raises(MemoryTaken, match="copy"):
        decide(AWAKE, fork(AWAKE))


def test_a_fork_does_not_begin_in_the_middle_of_a_sleep() -> None:
    with pytest.raises(AsleepThen, match=str(AWAKE.version)) as refused:
        decide(NOTHING, fork(do(ASLEEP, add(DEE))))

    assert refused.value.metadata["before"] == str(AWAKE.version)
    assert decide(NOTHING, fork(morning(ASLEEP)))


def test_a_fork_sleeps_by_itself() -> None:
    copy = morning(do(forked(AWAKE), start()))

    assert copy.nights
    assert not AWAKE.nights


@settings(max_examples=60)
@pytest.mark.walks
@given(log=logs(), more=logs(), data=st.data())
def test_folding_what_is_shared_and_then_its_own_equals_folding_all(
    log: list[Event], more: list[Event], data: st.DataObject
) -> None:
    shared = log[: data.draw(st.integers(0, len(log)))] or list(LIFE[:2])
    at = fold(shared)
    own = MemoryForked(parent=MemoryId("demo"), version=len(shared), hash=HASH, weights=at.weights)

    assert fold([own], onto=at) == fold([*shared, own])
