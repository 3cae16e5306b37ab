"""Deleting a memory: whatever it was doing, nothing but the end of its deletion happens to it from then on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.decide.commands import AddFacts, DeleteMemory, RecordFailure, RecordPurge
from core.errors.base import MemoryGone, MemoryUnknown, NotReady, StaleWork
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.evolve import evolve, fold
from core.state.memory import NOTHING, Memory
from core.state.plan import plan
from core.state.work import MAX_ATTEMPTS, Purge, next_work, seconds_before
from tests.core.samples import ARIA, CREATE, CREATED, END, LIFE, PREPARE, add
from tests.core.sleep_samples import start
from tests.core.strategies import NIGHTLY, Attempt, commands, nights

DELETE = DeleteMemory(memory=CREATE.memory)
PURGED = MemoryPurged(keys=1, artifacts=(), kept=0)


def deleted(memory: Memory) -> Memory:
    return fold(decide(memory, DELETE), onto=memory)


@given(made=nights(), data=st.data())
def test_a_deleted_memory_keeps_nothing_and_owes_its_purge_alone(made: list[Attempt], data: st.DataObject) -> None:
    before = fold(made[-1].events, onto=made[-1].memory)
    assert before.facts, "the drawn history told something"

    after = deleted(before)

    assert (after.deleted, after.purged) == (before.version + 1, False)
    kept = (after.facts, after.requests, after.by_statement, after.checkpoints, plan(after).terms)
    assert not any(kept)
    assert next_work(after) == Purge(attempt=1)
    command = data.draw(commands(before, kinds=NIGHTLY))
    with pytest.raises((MemoryGone, StaleWork)):
        decide(after, command)


def test_deleting_twice_changes_nothing_and_a_memory_that_is_not_there_cannot_be_deleted() -> None:
    after = deleted(fold(LIFE))

    assert decide(after, DELETE) == ()
    with pytest.raises(MemoryUnknown):
        decide(NOTHING, DELETE)


def test_a_sleep_in_progress_ends_with_the_memory() -> None:
    asleep = fold(decide(fold(LIFE), start()), onto=fold(LIFE))
    assert asleep.sleep is not None

    assert deleted(asleep).sleep is None


def test_a_purge_that_fails_is_tried_again_without_end_and_seldom_after_a_while() -> None:
    memory = deleted(fold(LIFE))
    for attempt in range(1, MAX_ATTEMPTS + 2):
        work = next_work(memory)
        assert isinstance(work, Purge)
        assert work.attempt == attempt
        failure = RecordFailure(work=work, reason="NOT_READY", message="its database is being read", retry=True)
        memory = fold(decide(memory, failure), onto=memory)
        assert memory.failure == "its database is being read"

    assert seconds_before(Purge(attempt=MAX_ATTEMPTS + 1)) > seconds_before(Purge(attempt=MAX_ATTEMPTS))
    assert fold(decide(memory, RecordPurge(work=Purge(attempt=1), purged=PURGED)), onto=memory).failure == ""


def test_a_purge_is_recorded_once() -> None:
    memory = deleted(fold(LIFE))
    record = RecordPurge(work=Purge(attempt=1), purged=PURGED)
    memory = fold(decide(memory, record), onto=memory)

    assert next_work(memory) is None
    with pytest.raises(StaleWork):
        decide(memory, record)


def test_its_name_is_free_once_it_is_purged_and_the_new_memory_is_like_any_other() -> None:
    gone = fold(END, onto=fold(LIFE))
    again = fold(decide(gone, CREATE), onto=gone)

    assert (again.created, again.begun, again.version) == (CREATED, gone.version, gone.version + 1)
    assert (again.deleted, again.purged) == (0, False)
    prepared = fold(decide(again, PREPARE), onto=again)
    told = fold(decide(prepared, add(ARIA)), onto=prepared)
    assert list(told.pending) == [ARIA.id], "a request id and a fact of the deleted memory are new to it"


def test_its_name_is_not_free_before() -> None:
    with pytest.raises(NotReady):
        decide(deleted(fold(LIFE)), CREATE)


def test_what_a_client_asks_of_a_deleted_memory_names_the_version() -> None:
    gone = evolve(fold(LIFE), MemoryDeleted())
    with pytest.raises(MemoryGone) as failure:
        decide(gone, AddFacts(request="r", request_digest=add(ARIA).request_digest, facts=()))

    assert failure.value.metadata["version"] == str(len(LIFE) + 1)
