"""Pressure: four needs, and the largest of them."""

from dataclasses import replace

import pytest
from hypothesis import given

from core.events import Event
from core.events.sleep import SleepCompleted
from core.evolve import fold
from core.policy import SleepPolicy
from core.state.memory import NOTHING, Memory, Status
from core.state.pressure import Pressure, pressure
from core.state.sleep import Step
from tests.core.samples import ARIA, BO, CREATED, DEE, READY, add, added, failed
from tests.core.sleep_samples import (
    AWAKE,
    CANCEL,
    FACTS,
    audit,
    awake,
    dissolved,
    do,
    end,
    inject,
    last,
    morning,
    night,
    refresh,
    start,
    until,
)
from tests.core.strategies import logs


def restful(memory: Memory, versions: int, capacity: float = 0.5) -> Memory:
    policy = SleepPolicy(restful=versions)
    return replace(memory, created=replace(CREATED, sleep=policy, capacity=capacity))


def test_a_memory_that_carries_nothing_is_rested() -> None:
    for memory in (NOTHING, fold(READY), fold([*READY, added(ARIA)])):
        assert pressure(memory) == Pressure()
        assert pressure(memory).total == 0.0


def test_key_occupancy_is_measured_against_capacity() -> None:
    assert pressure(AWAKE).key_occupancy == 0.125 / 0.5
    assert pressure(replace(AWAKE, key_occupancy=0.75)).key_occupancy == 1.0
    assert pressure(restful(AWAKE, 1, capacity=0.0)).key_occupancy == 0.0


def test_what_edits_in_force_left_out_is_unachieved_on_average() -> None:
    command = inject(do(AWAKE, add(ARIA)), ARIA)
    columns = command.edit.columns[0]
    (edit,) = AWAKE.edits.values()
    achieved = (1.5, 0.5, -0.25)  # of which 1, .5 and 0 count
    edit = replace(
        edit,
        columns=tuple(
            replace(columns, fact=one.id, achieved=share) for one, share in zip(FACTS, achieved, strict=True)
        ),
    )

    assert pressure(AWAKE).unachieved == 0.125
    assert pressure(replace(AWAKE, edits={edit.id: edit})).unachieved == 0.5


def test_columns_out_of_force_leave_nothing_out() -> None:
    memory = do(AWAKE, start())
    memory = do(memory, audit(memory, degraded=[ARIA.id]))
    command = refresh(memory)
    better = replace(command.edit, columns=tuple(replace(one, achieved=1.0) for one in command.edit.columns))

    memory = do(memory, replace(command, edit=better))

    assert pressure(memory).unachieved == pytest.approx(2 * 0.125 / 3)
    assert pressure(dissolved(*FACTS)).unachieved == 0.0


def test_the_degraded_are_counted_among_the_facts_in_the_weights() -> None:
    memory = do(AWAKE, add(DEE))
    memory = do(memory, start("nap"))
    memory = do(memory, audit(memory, degraded=[BO.id]))

    assert pressure(AWAKE).degraded == 0.0  # no audit yet
    assert pressure(memory).degraded == 1 / 3


def test_age_is_counted_in_versions_since_the_last_sleep() -> None:
    rested = night(awake(*FACTS))
    assert rested.slept == rested.version

    assert pressure(restful(AWAKE, 10 * AWAKE.version)).age == 0.1
    assert pressure(restful(AWAKE, 1)).age == 1.0
    assert pressure(restful(rested, 10)).age == 0.0
    assert pressure(restful(do(rested, add(DEE)), 10)).age == 0.1


def test_naps_and_sleeps_that_were_undone_give_no_rest() -> None:
    asleep = do(AWAKE, start())
    napping = do(AWAKE, start("nap"))
    for after in (do(asleep, CANCEL), morning(napping)):
        assert after.slept == 0
        assert pressure(restful(after, after.version)).age == 1.0


def test_a_memory_whose_edits_carry_nothing_does_not_age() -> None:
    memory = do(dissolved(*FACTS), start("nap"))

    assert memory.version > memory.slept
    assert pressure(restful(memory, 1)).age == 0.0


@pytest.mark.parametrize("need", ["key_occupancy", "unachieved", "degraded", "age"])
def test_the_largest_need_decides(need: str) -> None:
    needs = dict.fromkeys(("key_occupancy", "unachieved", "degraded", "age"), 0.25) | {need: 0.75}

    assert Pressure(**needs).total == 0.75


def test_the_end_of_a_sleep_says_what_is_left_of_the_pressure() -> None:
    tired = restful(AWAKE, 1)
    assert pressure(tired).total == 1.0
    memory = until(do(tired, start()), Step.END)

    completed = last(memory, end(memory))

    assert isinstance(completed, SleepCompleted)
    after = do(memory, end(memory))
    assert completed.pressure == pressure(after).total == 0.125


@pytest.mark.walks
@given(log=logs())
def test_every_need_is_a_share(log: list[Event]) -> None:
    needs = pressure(fold(log))

    for need in (needs.key_occupancy, needs.unachieved, needs.degraded, needs.age):
        assert 0.0 <= need <= needs.total <= 1.0


def test_parked_facts_are_no_burden() -> None:
    memory = fold([*READY, added(ARIA), failed(ARIA, parked=True)])

    assert memory.facts[ARIA.id].status is Status.PARKED
    assert pressure(memory) == Pressure()
