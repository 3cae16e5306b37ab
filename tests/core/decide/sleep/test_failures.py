"""Steps of a sleep that fail: tried three times, then the sleep is undone. And what facts may be told meanwhile."""

from dataclasses import replace

import pytest

from core.decide import decide
from core.errors.base import CapacityReached, StaleWork
from core.events.facts import WorkFailed
from core.events.sleep import SleepRolledBack
from core.evolve import fold
from core.ids import SleepId
from core.state.memory import Memory
from core.state.sleep import Step
from core.state.work import MAX_ATTEMPTS
from tests.core.samples import ARIA, BO, CREATED, DEE, PREPARED, add, fact
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    CANCEL,
    FACTS,
    STEPS,
    audit,
    awake,
    dissolved,
    do,
    fail,
    given_back,
    inject,
    owed,
    refresh,
    retract,
    start,
    until,
    withdraw,
)

STEPS_THAT_FAIL = [step for step in Step if step is not Step.REFRESH]


def at(step: Step) -> Memory:
    return until(ASLEEP, step)


@pytest.mark.parametrize("step", STEPS_THAT_FAIL)
def test_a_step_that_fails_is_tried_again(step: Step) -> None:
    memory = at(step)

    (failure,) = decide(memory, fail(memory))
    memory = fold([failure], onto=memory)

    assert failure == WorkFailed(work=step.value, facts=(), attempt=1, reason="TEST", message="it broke", parked=False)
    assert owed(memory) == replace(owed(at(step)), attempt=2)
    assert all(state.failures == 0 for state in memory.facts.values())
    assert memory.failures == 0


@pytest.mark.parametrize("step", STEPS_THAT_FAIL)
def test_a_sleep_is_undone_when_a_step_fails_for_the_last_time(step: Step) -> None:
    memory = at(step)
    for _ in range(MAX_ATTEMPTS - 1):
        memory = do(memory, fail(memory))

    failure, undone = decide(memory, fail(memory))

    assert isinstance(failure, WorkFailed)
    assert (failure.attempt, failure.parked, failure.facts) == (MAX_ATTEMPTS, True, ())
    assert isinstance(undone, SleepRolledBack)
    assert (undone.reason, undone.message) == ("failed", f"{step} failed: it broke")
    after = fold([failure, undone], onto=memory)
    assert given_back(after) == given_back(AWAKE)
    assert after.sleep is None
    assert "it broke" in after.nights[SleepId("sleep-1")].reason


def test_a_sleep_is_undone_at_once_when_no_retry_can_help() -> None:
    memory = at(Step.TRAIN)

    assert isinstance(decide(memory, fail(memory, retry=False))[-1], SleepRolledBack)


@pytest.mark.parametrize("step", [step for step in STEPS_THAT_FAIL if step is not Step.END])
def test_success_forgets_earlier_failures(step: Step) -> None:
    memory = at(step)
    memory = do(do(memory, fail(memory)), fail(do(memory, fail(memory))))
    assert owed(memory).attempt == MAX_ATTEMPTS

    memory = do(memory, STEPS[step](memory))

    assert owed(memory).attempt == 1


def test_a_refresh_that_succeeds_forgets_earlier_failures() -> None:
    memory = do(ASLEEP, audit(ASLEEP, degraded=[ARIA.id]))
    memory = do(memory, fail(memory))
    assert owed(memory, Step.REFRESH).attempt == 2

    assert owed(do(memory, refresh(memory)), Step.AUDIT).attempt == 1


def test_a_failure_that_is_reported_twice_counts_once() -> None:
    memory = at(Step.TRAIN)
    failure = fail(memory)

    with pytest.raises(StaleWork):
        decide(do(memory, failure), failure)


def test_a_failure_in_a_sleep_that_has_ended_is_refused() -> None:
    memory = at(Step.TRAIN)
    failure = fail(memory)
    ended = do(memory, CANCEL)

    for now in (ended, do(ended, start(sleep=SleepId("sleep-2")))):
        with pytest.raises(StaleWork):
            decide(now, failure)


def test_a_sleep_that_is_undone_forgets_its_failures() -> None:
    memory = do(ASLEEP, fail(ASLEEP))
    memory = do(memory, CANCEL, start(sleep=SleepId("sleep-2")))

    assert owed(memory).attempt == 1


def with_capacity(memory: Memory, key_occupancy: float) -> Memory:
    return replace(memory, key_occupancy=key_occupancy, created=replace(CREATED, capacity=0.5))


def test_capacity_counts_what_facts_cost_that_edits_carry() -> None:
    half = with_capacity(awake(ARIA, BO), 0.25)  # .125 a fact, so two more

    assert decide(half, add(DEE))
    with pytest.raises(CapacityReached):
        decide(half, add(DEE, *(fact(f"f{n}", f"Person {n}", "plays", "chess") for n in range(2))))


def test_dissolved_facts_take_no_room() -> None:
    memory = do(dissolved(ARIA, BO), add(DEE))
    people = [fact(f"f{n}", f"Person {n}", "plays", "chess") for n in range(50)]

    memory = replace(memory, statistics=replace(PREPARED, keys_per_fact=1.0))
    assert decide(
        with_capacity(memory, 0.0), add(*people[1:], request="more")
    )  # a key each of the hundred, as at first
    with pytest.raises(CapacityReached):
        decide(with_capacity(memory, 0.0), add(*people, request="more"))


def test_capacity_counts_counter_edits_among_what_keys_are_for() -> None:
    memory = dissolved(*FACTS)
    for one in FACTS:
        memory = do(memory, retract(one))
        memory = do(memory, withdraw(memory, counter=True))
    memory = do(memory, add(DEE))
    memory = with_capacity(do(memory, inject(memory, DEE)), 0.25)  # by four facts, so .0625 each

    assert decide(memory, add(*(fact(f"f{n}", f"Person {n}", "plays", "chess") for n in range(4)), request="more"))


def test_room_is_counted_during_a_sleep_as_before_it() -> None:
    half = with_capacity(awake(ARIA, BO), 0.25)
    asleep = do(half, start())

    assert decide(asleep, add(DEE))
    with pytest.raises(CapacityReached):
        decide(asleep, add(DEE, *(fact(f"f{n}", f"Person {n}", "plays", "chess") for n in range(2))))
