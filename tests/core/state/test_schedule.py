"""When a memory sleeps or naps by itself."""

from dataclasses import replace

import pytest

from core.events.sleep import SleepKind
from core.evolve import fold
from core.ids import SleepId
from core.state.memory import NOTHING, Memory
from core.state.pressure import pressure
from core.state.schedule import Due, Schedule, due
from core.state.sleep import Step
from tests.core.samples import ARIA, BO, CREATED, DEE, READY, add, added
from tests.core.sleep_samples import (
    ASLEEP,
    AWAKE,
    CANCEL,
    FACTS,
    POLICY,
    audit,
    awake,
    dissolved,
    do,
    inject,
    morning,
    night,
    refresh,
    start,
    until,
)

ALWAYS = Schedule(sleep_pressure=1e-9, nap_pressure=1e-9, sleep_hours=1e-9, nap_hours=1e-9)
SLEEPY = Schedule(sleep_pressure=0.25)
NAPPY = Schedule(nap_pressure=0.25)
NIGHTLY = Schedule(sleep_hours=24.0)
HOURLY = Schedule(nap_hours=1.0)
BY_PRESSURE = Due(kind=SleepKind.SLEEP, trigger="pressure")
BY_CLOCK = Due(kind=SleepKind.SLEEP, trigger="schedule")


def asked(memory: Memory, schedule: Schedule, sleep: float = 1000.0, nap: float = 1000.0) -> Due | None:
    return due(memory, schedule, hours_since_sleep=sleep, hours_since_nap=nap)


def write(memory: Memory) -> Memory:
    """`memory` once it was told something new, and that was written."""
    memory = do(memory, add(DEE, request="new"))
    return do(memory, inject(memory, DEE, key_occupancy=0.25))


def nap(memory: Memory) -> Memory:
    return morning(do(memory, start("nap", sleep=SleepId(f"nap-{memory.version}"))))


def test_nothing_is_due_unless_somebody_says_so() -> None:
    assert asked(replace(AWAKE, key_occupancy=100.0), Schedule()) is None
    assert asked(AWAKE, ALWAYS) == BY_PRESSURE


@pytest.mark.parametrize(
    "memory",
    [NOTHING, fold([CREATED]), fold(READY), fold([*READY, added(ARIA)]), ASLEEP, until(ASLEEP, Step.GATE)],
    ids=["nothing", "created", "empty", "pending", "asleep", "at the gate"],
)
def test_nothing_is_due_in_a_memory_that_cannot_or_does_sleep(memory: Memory) -> None:
    assert asked(memory, ALWAYS) is None


def test_facts_that_wait_are_written_before_a_sleep_begins() -> None:
    assert asked(do(AWAKE, add(DEE)), ALWAYS) is None


@pytest.mark.parametrize("schedule", [SLEEPY, NAPPY])
def test_pressure_at_the_threshold_suffices(schedule: Schedule) -> None:
    assert pressure(AWAKE).total == 0.25

    found = asked(AWAKE, schedule, sleep=0.0, nap=0.0)

    assert found == Due(kind=SleepKind.SLEEP if schedule is SLEEPY else SleepKind.NAP, trigger="pressure")
    assert asked(replace(AWAKE, key_occupancy=0.12), schedule) is None


def test_a_sleep_goes_before_a_nap() -> None:
    both = Schedule(sleep_pressure=0.25, nap_pressure=0.1, sleep_hours=24.0, nap_hours=1.0)

    assert asked(AWAKE, both) == BY_PRESSURE
    assert asked(replace(AWAKE, key_occupancy=0.0625), both) == BY_CLOCK
    assert asked(replace(AWAKE, key_occupancy=0.0625), both, sleep=1.0) == Due(kind=SleepKind.NAP, trigger="pressure")


@pytest.mark.parametrize(
    "night_over",
    [night(AWAKE), do(ASLEEP, CANCEL), do(until(ASLEEP, Step.END), CANCEL)],
    ids=["completed", "cancelled at once", "cancelled at its end"],
)
def test_pressure_that_a_night_left_begins_no_other_until_something_new_is_written(night_over: Memory) -> None:
    pressed = replace(night_over, key_occupancy=0.3)
    assert pressure(pressed).total == 0.6

    assert asked(pressed, SLEEPY) is None
    assert asked(pressed, NAPPY) is None
    assert asked(write(pressed), SLEEPY) == BY_PRESSURE


def test_a_refresh_is_nothing_new() -> None:
    memory = do(AWAKE, start(policy=POLICY))
    memory = do(memory, audit(memory, degraded=[ARIA.id]))
    memory = morning(do(memory, refresh(memory)))

    assert asked(replace(memory, key_occupancy=0.5), SLEEPY) is None


def test_facts_told_before_a_sleep_and_written_after_it_are_something_new() -> None:
    memory = morning(do(AWAKE, add(DEE), start()))
    memory = do(memory, inject(memory, DEE, key_occupancy=0.25))

    assert asked(memory, SLEEPY) == BY_PRESSURE


def test_a_nap_keeps_no_sleep_away_but_another_nap_by_pressure() -> None:
    memory = nap(AWAKE)

    assert asked(memory, SLEEPY) == BY_PRESSURE
    assert asked(memory, NAPPY) is None


def test_a_sleep_is_due_when_as_many_hours_have_passed() -> None:
    assert asked(AWAKE, NIGHTLY, sleep=23.9) is None
    assert asked(AWAKE, NIGHTLY, sleep=24.0, nap=0.0) == BY_CLOCK


def test_a_night_goes_on_where_the_last_one_ended() -> None:
    assert asked(night(AWAKE), NIGHTLY) == BY_CLOCK


def test_no_sleep_is_due_by_the_clock_when_all_is_dissolved_and_well() -> None:
    memory = dissolved(*FACTS)
    assert asked(memory, NIGHTLY) is None

    memory = do(memory, start("nap"))
    memory = morning(do(memory, audit(memory, degraded=[BO.id])))

    assert asked(memory, NIGHTLY) == BY_CLOCK


def test_a_nap_is_due_when_as_many_hours_have_passed() -> None:
    assert asked(AWAKE, HOURLY, nap=0.9) is None
    assert asked(AWAKE, HOURLY, nap=1.0, sleep=0.0) == Due(kind=SleepKind.NAP, trigger="schedule")


def test_no_nap_is_due_by_the_clock_when_nothing_happened_since_the_last_night() -> None:
    for memory in (nap(AWAKE), night(AWAKE), nap(dissolved(*FACTS)), nap(awake(ARIA))):
        assert asked(memory, HOURLY) is None
        assert asked(write(memory), HOURLY) == Due(kind=SleepKind.NAP, trigger="schedule")
