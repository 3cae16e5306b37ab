"""Memories that sleep and nap by themselves: by pressure and by the clock, and not before."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy.event

from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.sleep import SleepStarted
from core.ids import MemoryId
from core.state.memory import Memory
from hypnogram.client import new_fact
from service.executor import auto_sleep
from service.executor.auto_sleep import AutoSleep
from service.executor.loop import Executor
from tests.core.samples import CREATED, PREPARED
from tests.service.conftest import DEMO, Running
from tests.service.dream import Dream
from tests.store.given import new

MEMORY = MemoryId(DEMO)


@pytest.fixture
def knowing(demo: Running) -> Running:
    """A server whose memory `demo` was told a fact."""
    demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")])
    demo.work()
    return demo


class Clock:
    """Ahead of the log's by some hours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def ahead(self, hours: float) -> None:
        later = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        self._monkeypatch.setattr(auto_sleep, "now", lambda: later)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def resting(server: Running, **settings: float) -> AutoSleep:
    return AutoSleep(server.store.log, server.states, server.settings.model_copy(update=settings))


def state(server: Running) -> Memory:
    return server.states.current(MEMORY)


def version(server: Running) -> int:
    return server.store.log.head(MEMORY)


def begun(server: Running) -> list[tuple[str, str]]:
    events = [one.event for one in server.store.log.read(memory=MEMORY)]
    return [(one.kind, one.trigger) for one in events if isinstance(one, SleepStarted)]


def test_no_memory_sleeps_by_itself_unless_somebody_says_so(knowing: Running, clock: Clock) -> None:
    clock.ahead(10_000)

    assert not resting(knowing).begin_if_due(MEMORY, state(knowing))
    assert begun(knowing) == []


def test_a_memory_under_pressure_sleeps_once_for_what_it_was_told(knowing: Running) -> None:
    tired = resting(knowing, sleep_pressure=0.001)

    assert tired.begin_if_due(MEMORY, state(knowing))
    assert not tired.begin_if_due(MEMORY, state(knowing))  # one at a time
    knowing.work(dream=Dream(perplexity=20.0))
    assert not tired.begin_if_due(MEMORY, state(knowing))  # another one would do the same harm
    knowing.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")])
    assert not tired.begin_if_due(MEMORY, state(knowing))  # it owes a fact
    knowing.work()
    assert tired.begin_if_due(MEMORY, state(knowing))
    assert begun(knowing) == [("sleep", "pressure"), ("sleep", "pressure")]


def test_a_memory_sleeps_some_hours_after_the_last_time(knowing: Running, clock: Clock) -> None:
    nightly = resting(knowing, sleep_hours=24)

    assert not nightly.begin_if_due(MEMORY, state(knowing))
    clock.ahead(25)
    assert nightly.begin_if_due(MEMORY, state(knowing))
    knowing.work()
    clock.ahead(23)
    assert not nightly.begin_if_due(MEMORY, state(knowing))
    clock.ahead(25)
    assert nightly.begin_if_due(MEMORY, state(knowing))
    assert begun(knowing) == [("sleep", "schedule")] * 2


def test_a_sleep_counts_as_a_nap(knowing: Running, clock: Clock) -> None:
    napping = resting(knowing, nap_hours=5)

    clock.ahead(6)
    assert napping.begin_if_due(MEMORY, state(knowing))
    knowing.work()
    knowing.client.begin_sleep(DEMO)
    knowing.work()
    clock.ahead(6)
    assert not napping.begin_if_due(MEMORY, state(knowing))  # nothing has happened since
    knowing.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")])
    knowing.work()
    clock.ahead(4)
    assert not napping.begin_if_due(MEMORY, state(knowing))
    clock.ahead(6)
    assert napping.begin_if_due(MEMORY, state(knowing))
    assert begun(knowing) == [("nap", "schedule"), ("sleep", "client"), ("nap", "schedule")]


def test_what_was_decided_on_a_memory_as_it_was_is_not_begun(knowing: Running) -> None:
    before = state(knowing)
    knowing.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")])

    assert not resting(knowing, sleep_pressure=0.001).begin_if_due(MEMORY, before)
    assert begun(knowing) == []


def test_a_memory_that_owes_nothing_is_left_alone_until_something_happens(knowing: Running) -> None:
    awake = resting(knowing)

    assert not awake.is_idle(MEMORY, version(knowing))  # not looked at yet
    awake.begin_if_due(MEMORY, state(knowing))
    assert awake.is_idle(MEMORY, version(knowing))
    knowing.client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")])
    assert not awake.is_idle(MEMORY, version(knowing))
    awake.begin_if_due(MEMORY, state(knowing))
    assert not awake.is_idle(MEMORY, version(knowing))  # it owes a fact


def test_a_sweep_over_memories_at_rest_asks_the_database_once(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    log, stop = server.store.log, threading.Event()
    executor = Executor(log, server.store.artifacts, server.store.snapshots, server.settings)
    for number in range(20):
        log.append(MemoryId(f"idle-{number}"), [new(CREATED), new(PREPARED)], expected=0)
    queries: list[str] = []
    here = threading.get_ident()  # because the server asks as well, in threads of its own

    def sweep() -> list[bool]:
        return [executor._turn(there, stop) for there in log.listed()]

    def heard(*about: Any) -> None:
        if threading.get_ident() == here:
            queries.append(about[2])

    sweep()
    sqlalchemy.event.listen(log.engine, "before_cursor_execute", heard)

    assert not any(sweep())
    assert len(queries) == 1


def test_a_new_memory_has_not_been_awake_since_a_deleted_one_of_its_name_began(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, long_ago = server.store.log, (datetime.now(UTC) - timedelta(hours=48)).isoformat()
    with monkeypatch.context() as patched:
        patched.setattr("store.clock.now", lambda: long_ago)
        log.append(MEMORY, [new(CREATED), new(MemoryDeleted())], expected=0)
    log.append(MEMORY, [new(MemoryPurged(keys=0, artifacts=(), kept=0)), new(CREATED)], expected=2)
    nightly = resting(server, sleep_hours=24)

    assert nightly._hours_since(MEMORY, state(server)) < 24


@pytest.mark.parametrize(("schedule", "again"), [("sleep_hours", True), ("nap_hours", True), ("sleep_pressure", False)])
def test_a_memory_is_looked_at_again_when_the_clock_alone_may_have_made_a_night_due(
    knowing: Running, monkeypatch: pytest.MonkeyPatch, schedule: str, again: bool
) -> None:
    waiting = resting(knowing, **{schedule: 24})
    waiting.begin_if_due(MEMORY, state(knowing))
    assert waiting.is_idle(MEMORY, version(knowing))

    monkeypatch.setattr(auto_sleep, "LOOK_SECONDS", 0.0)

    assert waiting.is_idle(MEMORY, version(knowing)) is not again


def test_a_sleep_by_schedule_goes_by_the_memorys_own_policy_and_says_who_began_it(knowing: Running) -> None:
    resting(knowing, sleep_pressure=0.001).begin_if_due(MEMORY, state(knowing))
    event = knowing.store.log.read(memory=MEMORY)[-1]

    assert isinstance(event.event, SleepStarted)
    created = state(knowing).created
    assert created is not None
    assert (event.event.policy, event.event.seed, event.cause.actor) == (created.sleep, event.version - 1, "schedule")
