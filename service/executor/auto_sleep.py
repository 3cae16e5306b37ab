"""Automatic sleep: starts the sleeps and naps that `core.state.schedule` says are due. The clock is read here."""

from __future__ import annotations

import time
from datetime import datetime

import structlog

from core.decide.commands import StartSleep
from core.errors.base import Conflict, Refused
from core.events import Cause
from core.ids import Digest, MemoryId, SleepId
from core.state.memory import Memory
from core.state.schedule import Due, Schedule, due
from core.state.work import next_work
from service.app.repository import MemoryRepository
from service.settings import Settings
from store.clock import next_uuid, now
from store.log.event_log import EventLog

LOOK_SECONDS = 60.0  # between looks at a memory without new events, because schedules count hours
CAUSE = Cause(actor="schedule")

log = structlog.get_logger()


class AutoSleep:
    """Starts sleeps and naps of memories that owe no work, and remembers which memories need no look."""

    def __init__(self, events: EventLog, states: MemoryRepository, settings: Settings) -> None:
        self._events = events
        self._states = states
        self._schedule = Schedule(
            sleep_pressure=settings.sleep_pressure,
            nap_pressure=settings.nap_pressure,
            sleep_hours=settings.sleep_hours,
            nap_hours=settings.nap_hours,
        )
        self._last: dict[
            tuple[MemoryId, str], tuple[int, datetime]
        ] = {}  # version from which hours count, and its time
        self._idle: dict[MemoryId, tuple[int, float]] = {}  # version at which nothing was due, and seconds of the look

    def is_idle(self, memory: MemoryId, version: int) -> bool:
        """Returns whether the last look at `memory` found nothing due at `version`. Reads no state."""
        idle, looked = self._idle.get(memory, (0, 0.0))
        by_the_clock = self._schedule.sleep_hours or self._schedule.nap_hours
        if by_the_clock and time.monotonic() - looked >= LOOK_SECONDS:
            return False
        return version == idle

    def begin_if_due(self, memory: MemoryId, state: Memory) -> bool:
        """Starts the sleep or nap that is due, if there is one; returns whether it did."""
        if self._begun(memory, state):
            return True
        if next_work(state) is None:
            self._idle[memory] = state.version, time.monotonic()
        return False

    def _begun(self, memory: MemoryId, state: Memory) -> bool:
        if self._schedule == Schedule() or state.created is None:
            return False
        now_due = due(
            state, self._schedule, self._hours_since(memory, state, "sleep"), self._hours_since(memory, state)
        )
        return now_due is not None and self._begin(memory, state, now_due)

    def _begin(self, memory: MemoryId, state: Memory, now_due: Due) -> bool:
        assert state.created is not None
        command = StartSleep(
            sleep=SleepId(next_uuid()),
            kind=now_due.kind,
            trigger=now_due.trigger,
            policy=state.created.sleep,
            seed=state.version,
            request="",
            request_digest=Digest(""),
        )
        try:
            self._states.execute(memory, lambda _: command, CAUSE, expected=state.version)
        except (Conflict, Refused) as error:
            log.info("sleep.not_begun", memory=memory, kind=now_due.kind, why=str(error))
            return False
        log.info("sleep.begun", memory=memory, kind=now_due.kind, trigger=now_due.trigger)
        return True

    def _hours_since(self, memory: MemoryId, state: Memory, kind: str = "") -> float:
        """Returns the hours since the last sleep of that kind, by default of any, ended; or since the memory began."""
        ends = [night.ended for night in state.nights.values() if kind in ("", night.kind)]
        version = max(ends, default=state.begun + 1)
        if self._last.get((memory, kind), (0,))[0] != version:
            (recorded,) = self._events.read(memory=memory, after_version=version - 1, limit=1)
            self._last[memory, kind] = version, datetime.fromisoformat(recorded.recorded_at)
        return (datetime.fromisoformat(now()) - self._last[memory, kind][1]).total_seconds() / 3600
