"""Work that executors gave up is tried again on request, and only then."""

from dataclasses import replace

import pytest
from hypothesis import given

from core.decide import decide
from core.decide.retry import given_up
from core.errors.base import CapacityReached, FactUnknown, RequestReused
from core.events import Event
from core.events.facts import WorkFailed
from core.events.history import FactRetried
from core.evolve import fold
from core.ids import Digest
from core.state.memory import Memory, Status
from core.state.work import MAX_ATTEMPTS, Erase, Inject, Withdraw, next_work, will_leave
from tests.core.samples import ARIA, BO, CY, DEE, RETRIED, add, added, digest, fact, failed
from tests.core.sleep_samples import (
    AWAKE,
    audit,
    do,
    erase,
    fail,
    inject,
    retract,
    retry,
    start,
    withdraw,
)
from tests.core.strategies import Attempt, attempts, logs


def failing(memory: Memory) -> Memory:
    """`memory` once its next work failed for good."""
    for _ in range(MAX_ATTEMPTS):
        memory = do(memory, fail(memory))
    return memory


PARKED = failing(do(AWAKE, add(DEE, request="told")))
STUCK = failing(do(AWAKE, retract(ARIA)))  # in the weights, although it was taken back
LEFT = do(AWAKE, retract(ARIA, erase=True))
READABLE = failing(do(LEFT, withdraw(LEFT)))  # out of the weights, and its words are not destroyed


def test_a_parked_fact_is_pending_again_with_all_its_attempts() -> None:
    assert PARKED.facts[DEE.id].status is Status.PARKED
    assert next_work(PARKED) is None

    (event,) = decide(PARKED, retry(DEE))
    memory = fold([event], onto=PARKED)

    assert event == FactRetried(fact=DEE.id, request=f"retry-{DEE.id}", request_digest=digest("retry", DEE.id))
    state = memory.facts[DEE.id]
    assert (state.status, state.failures, state.failure) == (Status.PENDING, 0, "")
    work = next_work(memory)
    assert isinstance(work, Inject)
    assert (work.facts, work.attempt) == ((DEE.id,), 1)
    assert do(memory, inject(memory, DEE)).facts[DEE.id].in_weights


def test_a_withdrawal_that_was_given_up_is_owed_again_with_all_its_attempts() -> None:
    assert next_work(STUCK) is None

    work = next_work(do(STUCK, retry(ARIA)))

    assert isinstance(work, Withdraw)
    assert (work.fact, work.attempt) == (ARIA.id, 1)


def test_an_erasure_that_was_given_up_is_owed_again_with_all_its_attempts() -> None:
    assert READABLE.facts[ARIA.id].status is Status.WITHDRAWN
    assert next_work(READABLE) is None

    memory = do(READABLE, retry(ARIA))

    assert next_work(memory) == Erase(fact=ARIA.id, attempt=1)
    assert do(memory, erase(memory)).facts[ARIA.id].erased


def test_a_fact_to_be_erased_whose_withdrawal_was_given_up_is_withdrawn_and_then_erased() -> None:
    memory = failing(do(AWAKE, retract(ARIA, erase=True)))
    assert next_work(memory) is None

    memory = do(memory, retry(ARIA))
    assert isinstance(next_work(memory), Withdraw)
    memory = do(memory, withdraw(memory))

    assert isinstance(next_work(memory), Erase)


def test_all_that_was_given_up_is_tried_again_in_one_request() -> None:
    memory = failing(do(STUCK, add(DEE, request="told")))

    memory = do(memory, retry())

    assert (list(memory.pending), list(memory.pending_withdrawal)) == ([DEE.id], [ARIA.id])
    assert memory.requests["retry-None"].facts == (ARIA.id, DEE.id)
    assert decide(memory, retry()) == ()


def test_what_nobody_gave_up_stays_as_it_is() -> None:
    assert decide(AWAKE, retry(BO)) == ()
    assert decide(do(AWAKE, retract(CY)), retry(CY)) == ()
    assert decide(AWAKE, retry()) == ()


def test_a_fact_that_nobody_told_cannot_be_tried_again() -> None:
    with pytest.raises(FactUnknown):
        decide(AWAKE, retry(DEE))


def test_a_request_that_comes_again_tries_nothing_again() -> None:
    memory = failing(do(PARKED, retry(DEE, request="once")))
    assert memory.facts[DEE.id].status is Status.PARKED

    assert decide(memory, retry(DEE, request="once")) == ()
    assert len(decide(memory, retry(DEE, request="twice"))) == 1


@pytest.mark.parametrize("digest_known", [True, False])
def test_a_request_id_of_a_retry_is_of_no_other_use(digest_known: bool) -> None:
    memory = do(PARKED, retry(DEE, request="once"))
    if not digest_known:  # as after the erasure of its fact
        request = replace(memory.requests["once"], digest=Digest(""))
        memory = replace(memory, requests={**memory.requests, "once": request})

    for command in (retry(ARIA, request="once"), retract(DEE, request="once"), add(DEE, request="once")):
        with pytest.raises(RequestReused):
            decide(memory, command)
    with pytest.raises(RequestReused):
        decide(memory, retry(DEE, request="told"))
    assert decide(memory, retry(DEE, request="once")) == ()


def test_telling_a_parked_fact_again_tries_it_again() -> None:
    again = add(replace(DEE, id=BO.id), CY, request="again")
    events = decide(PARKED, again)
    memory = fold(events, onto=PARKED)

    assert events[1:] == (FactRetried(fact=DEE.id, request="", request_digest=Digest("")),)
    assert list(memory.pending) == [DEE.id]
    assert decide(failing(memory), again) == ()


def test_telling_new_facts_and_a_parked_one_is_one_request() -> None:
    new = fact("fact-new", DEE.subject, "lives in", "Cardiff")

    memory = do(PARKED, add(DEE, new, request="both"))

    assert set(memory.pending) == {DEE.id, new.id}
    assert memory.requests["both"].facts == (new.id,)


def test_parked_facts_are_tried_again_only_as_far_as_there_is_room() -> None:
    assert PARKED.created
    full = replace(PARKED, created=replace(PARKED.created, capacity=PARKED.key_occupancy))

    for command in (retry(DEE), retry(), add(DEE, request="again")):
        with pytest.raises(CapacityReached):
            decide(full, command)
    crowded = replace(STUCK, created=replace(PARKED.created, capacity=STUCK.key_occupancy))
    assert decide(crowded, retry(ARIA))  # which makes room


def test_what_is_tried_again_in_a_sleep_is_owed_after_it_even_when_that_is_undone() -> None:
    memory = failing(do(STUCK, add(DEE, request="told")))
    asleep = do(memory, start())
    asleep = do(asleep, retry())

    undone = do(asleep, audit(asleep, controls={"perplexity": float("nan")}))

    assert undone.sleep is None
    assert (list(undone.pending), list(undone.pending_withdrawal)) == ([DEE.id], [ARIA.id])
    assert [undone.facts[one.id].failures for one in (DEE, ARIA)] == [0, 0]
    assert undone.facts[DEE.id].status is Status.PENDING


def test_the_sample_of_a_retry_makes_its_fact_pending() -> None:
    memory = fold([added(BO), failed(BO, attempt=3, parked=True)])

    assert list(memory.pending) == []
    assert list(fold([RETRIED], onto=memory).pending) == [BO.id]


@given(log=logs())
def test_what_is_given_up_is_owed_by_nobody_and_trying_again_makes_it_owed(log: list[Event]) -> None:
    memory = fold(log)
    if memory.deleted or memory.created is None:
        return
    lost = [fact for fact in memory.facts if given_up(memory, fact)]
    assert not any(fact in memory.pending or will_leave(memory, fact) for fact in lost)
    roomy = replace(memory, created=replace(memory.created, capacity=1e9))

    after = do(roomy, retry(request="a fresh one"))

    assert all(fact in after.pending or will_leave(after, fact) for fact in lost)
    assert not any(given_up(after, fact) for fact in after.facts)


@given(made=attempts())
def test_nothing_is_given_up_that_did_not_fail_for_good(made: list[Attempt]) -> None:
    parked = {
        fact
        for attempt in made
        for event in attempt.events
        if isinstance(event, WorkFailed) and event.parked
        for fact in event.facts
    }
    for attempt in made:
        after = fold(attempt.events, onto=attempt.memory)
        assert {fact for fact in after.facts if given_up(after, fact)} <= parked
