"""What an executor owes, and what becomes of its results and failures."""

from dataclasses import replace

import pytest
from hypothesis import given

from core.decide import decide
from core.decide.commands import DeleteMemory, RecordFailure, RecordInjection
from core.errors.base import Refused, StaleWork
from core.events import Event
from core.events.facts import FactInjected, WorkFailed
from core.evolve import fold
from core.ids import MemoryId
from core.state.memory import NOTHING, Memory, Status
from core.state.work import (
    LATER_SECONDS,
    MAX_ATTEMPTS,
    Erase,
    Inject,
    PrepareStatistics,
    Withdraw,
    Work,
    next_work,
    owed_since,
    seconds_before,
    still_owed,
)
from tests.core import sleep_samples as sleeping
from tests.core.samples import (
    ARIA,
    BATCH,
    BO,
    CLEAN,
    CREATED,
    CY,
    DEE,
    PREPARE,
    PREPARED,
    READY,
    add,
    added,
    digest,
    edit,
    fail,
    failed,
    inject,
    injected,
    when,
    write,
)
from tests.core.sleep_samples import awake, do, erase, retract, withdraw
from tests.core.strategies import Attempt, attempts, logs

TOLD = (*READY, added(ARIA), added(BO), added(CY), added(DEE))


def test_nothing_is_owed_to_a_memory_that_does_not_exist() -> None:
    assert next_work(NOTHING) is None


def test_statistics_come_before_facts() -> None:
    assert next_work(fold([CREATED, added(ARIA)])) == PrepareStatistics(attempt=1)


def test_statistics_are_recorded_once() -> None:
    assert when(CREATED, command=PREPARE) == (PREPARED,)
    with pytest.raises(StaleWork, match="prepared already"):
        when(*READY, command=PREPARE)


def test_nothing_is_owed_when_nothing_is_pending() -> None:
    assert next_work(fold(READY)) is None


def test_pending_facts_are_owed_in_the_order_told_up_to_a_batch() -> None:
    assert next_work(fold(TOLD)) == inject(ARIA, BO, CY)


def test_work_is_owed_since_the_events_that_ask_for_it() -> None:
    told = fold(TOLD)
    taken_back = do(awake(ARIA), retract(ARIA))
    owed = next_work(taken_back)

    assert owed_since(told, inject(ARIA, CY)) == (3, 5)
    assert isinstance(owed, Withdraw)
    assert owed_since(taken_back, owed) == (taken_back.version,)
    assert owed_since(told, PrepareStatistics(attempt=1)) == ()


def test_what_did_not_fit_into_a_batch_is_owed_next() -> None:
    memory = write(fold(TOLD), ARIA, BO, CY)

    assert next_work(memory) == inject(DEE, weights=digest("weights", 1))


def test_erasing_comes_after_what_leaves_and_after_what_is_written() -> None:
    memory = do(awake(ARIA, BO), retract(ARIA))
    memory = do(memory, withdraw(memory))
    memory = do(memory, retract(ARIA, erase=True), add(CY), retract(BO))
    owed: list[Work | None] = []
    for result in (withdraw, lambda now: sleeping.inject(now, CY), erase):
        owed.append(next_work(memory))
        memory = do(memory, result(memory))

    assert [type(work) for work in owed] == [Withdraw, Inject, Erase]
    assert next_work(memory) is None
    assert memory.facts[ARIA.id].erased


def test_an_injection_is_recorded_with_one_event_for_each_fact() -> None:
    computed = edit(ARIA, BO, before=CLEAN)

    assert when(*TOLD, command=RecordInjection(edit=computed)) == injected(computed)


def test_an_injected_fact_is_carried_in_full_by_its_edit() -> None:
    memory = write(fold(TOLD), ARIA)

    state = memory.facts[ARIA.id]
    assert (state.status, state.stage, state.scale, state.edits) == (Status.INJECTED, 0, 1.0, ("edit-1",))
    assert ARIA.id not in memory.pending
    assert memory.weights == digest("weights", 1)
    assert memory.key_occupancy == 0.125


def test_an_injection_says_itself_at_which_scale_its_columns_count() -> None:
    half = edit(ARIA, before=CLEAN)
    half = replace(half, columns=tuple(replace(one, scale=0.5) for one in half.columns))

    events = when(*TOLD, command=RecordInjection(edit=half))

    assert events[1:] == (FactInjected(fact=ARIA.id, edit=half.edit, stage=0, scale=0.5),)
    assert fold(events, onto=fold(TOLD)).facts[ARIA.id].scale == 0.5


def test_an_injection_computed_against_other_weights_is_refused() -> None:
    memory = write(fold(TOLD), ARIA)

    with pytest.raises(StaleWork):
        decide(memory, RecordInjection(edit=edit(BO, before=CLEAN, number=2)))


def test_an_injection_of_a_fact_that_is_carried_already_is_refused() -> None:
    memory = write(fold(TOLD), ARIA)

    with pytest.raises(StaleWork):
        decide(memory, RecordInjection(edit=edit(ARIA, before=digest("weights", 1), number=2)))


def test_an_injection_of_a_fact_nobody_told_is_refused() -> None:
    with pytest.raises(StaleWork):
        when(*READY, added(ARIA), command=RecordInjection(edit=edit(BO, before=CLEAN)))


def test_facts_told_meanwhile_do_not_make_an_injection_stale() -> None:
    work = next_work(fold([*READY, added(ARIA)]))
    assert isinstance(work, Inject)
    meanwhile = fold([*READY, added(ARIA), added(BO, "request-2")])

    assert still_owed(meanwhile, work)
    assert decide(meanwhile, RecordInjection(edit=edit(*work.facts, before=work.weights)))


def test_after_a_failed_batch_its_facts_are_tried_alone() -> None:
    memory = fold(when(*TOLD, command=fail(inject(ARIA, BO, CY))), onto=fold(TOLD))

    assert next_work(memory) == inject(ARIA, attempt=2)
    memory = write(memory, ARIA)
    assert next_work(memory) == inject(BO, attempt=2, weights=digest("weights", 1))


def test_a_batch_stops_before_a_fact_that_failed() -> None:
    memory = fold([*TOLD, failed(CY)])

    assert next_work(memory) == inject(ARIA, BO)


def test_a_failed_batch_parks_nobody() -> None:
    for retry in (True, False):
        assert when(*TOLD, command=fail(inject(ARIA, BO), retry=retry)) == (failed(ARIA, BO),)


def test_a_fact_that_fails_alone_is_retried_and_then_parked() -> None:
    assert when(*TOLD, command=fail(inject(ARIA, attempt=1))) == (failed(ARIA, attempt=1),)
    assert when(*TOLD, command=fail(inject(ARIA, attempt=MAX_ATTEMPTS))) == (
        failed(ARIA, attempt=MAX_ATTEMPTS, parked=True),
    )


def test_a_fact_that_no_retry_can_help_is_parked_at_once() -> None:
    assert when(*TOLD, command=fail(inject(ARIA), retry=False)) == (failed(ARIA, parked=True),)


def test_a_parked_fact_says_why_and_the_others_go_on() -> None:
    memory = fold([*TOLD, failed(ARIA, parked=True)])

    state = memory.facts[ARIA.id]
    assert (state.status, state.failure, state.scale) == (Status.PARKED, "its value diverged", 0.0)
    assert next_work(memory) == inject(BO, CY, DEE)


def test_success_forgets_earlier_failures() -> None:
    memory = write(fold([*TOLD, failed(ARIA)]), ARIA)

    assert (memory.facts[ARIA.id].failures, memory.facts[ARIA.id].failure) == (0, "")


def test_a_failure_concerns_only_facts_that_are_still_pending() -> None:
    memory = write(fold(TOLD), ARIA)

    assert decide(memory, fail(inject(ARIA, BO))) == (failed(BO),)
    with pytest.raises(StaleWork):
        decide(memory, fail(inject(ARIA)))


def test_failed_statistics_are_tried_again_and_later_on_at_longer_intervals() -> None:
    memory = fold([CREATED])
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 3):
        work = next_work(memory)
        assert work == PrepareStatistics(attempt=attempt)
        waits.append(seconds_before(work))
        (failure,) = decide(memory, fail(PrepareStatistics(attempt=attempt)))
        assert isinstance(failure, WorkFailed)
        assert not failure.parked
        memory = fold([failure], onto=memory)

    assert waits == [0.0, 2.0, 10.0, 600.0, 600.0]
    assert memory.failure == "its value diverged"


def test_prepared_statistics_forget_earlier_failures() -> None:
    failure = WorkFailed(work="prepare_statistics", facts=(), attempt=3, reason="TEST", message="no", parked=True)
    memory = fold([CREATED, failure, PREPARED])

    assert (memory.failures, memory.failure) == (0, "")


def test_a_failure_of_statistics_that_are_prepared_is_refused() -> None:
    with pytest.raises(StaleWork):
        when(*READY, command=fail(PrepareStatistics(attempt=1)))


def test_statistics_are_owed_until_they_are_prepared_or_the_memory_is_deleted() -> None:
    work, created = PrepareStatistics(attempt=1), fold([CREATED])

    assert still_owed(created, work)
    assert not still_owed(fold(READY), work)
    assert not still_owed(fold(decide(created, DeleteMemory(memory=MemoryId("demo"))), onto=created), work)


def test_each_retry_waits_longer_than_the_one_before() -> None:
    waits = [seconds_before(PrepareStatistics(attempt=attempt)) for attempt in range(1, MAX_ATTEMPTS + 1)]

    assert waits[0] == 0
    assert waits == sorted(set(waits))
    assert seconds_before(PrepareStatistics(attempt=MAX_ATTEMPTS + 5)) > waits[-1]


@pytest.mark.walks
@given(log=logs())
def test_work_is_owed_for_pending_facts_alone_in_bounded_batches(log: list[Event]) -> None:
    memory = fold(log)
    work = next_work(memory)
    if isinstance(work, Inject):
        states = [memory.facts[fact] for fact in work.facts]
        assert 1 <= len(states) <= BATCH
        assert all(state.status is Status.PENDING for state in states)
        assert len(states) == 1 or all(state.failures == 0 for state in states)
        assert work.attempt <= MAX_ATTEMPTS
        assert [*memory.pending][: len(states)] == [*work.facts]
        assert still_owed(memory, work)


@pytest.mark.walks
@given(log=logs())
def test_pending_facts_are_exactly_those_whose_status_says_so(log: list[Event]) -> None:
    memory = fold(log)

    assert set(memory.pending) == {id_ for id_, state in memory.facts.items() if state.status is Status.PENDING}


@pytest.mark.walks
@given(log=logs())
def test_whatever_fails_the_executor_comes_to_rest(log: list[Event]) -> None:
    memory: Memory = fold(log)
    limit = MAX_ATTEMPTS * (len(memory.facts) + len(memory.unread) + 2) + 1
    for _ in range(limit):
        work = next_work(memory)
        if work is None or seconds_before(work) >= LATER_SECONDS:
            return
        memory = fold(decide(memory, RecordFailure(work=work, reason="TEST", message="no", retry=True)), onto=memory)
    pytest.fail(f"work is still owed after {limit} failures")


@pytest.mark.walks
@given(made=attempts())
def test_owed_work_is_never_refused(made: list[Attempt]) -> None:
    for attempt in made:
        work = next_work(attempt.memory)
        if work is not None:
            try:
                decide(attempt.memory, RecordFailure(work=work, reason="TEST", message="no", retry=True))
            except Refused as refusal:
                pytest.fail(f"{work} was refused: {refusal}")
