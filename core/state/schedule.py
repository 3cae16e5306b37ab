"""Decides when a memory sleeps or naps by itself: by pressure or by the clock. Both are off by default."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.sleep import SleepKind
from core.state.memory import Memory
from core.state.pressure import pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Thresholds for automatic sleeps and naps; 0 turns one off.

    Attributes:
        sleep_pressure, nap_pressure: lowest pressure at which a sleep or nap begins, 0 to 1.
        sleep_hours: hours from one sleep to the next, if an edit carries a fact or a fact is degraded.
        nap_hours: hours from one nap to the next, if any event was recorded since the last sleep or nap.
    """

    sleep_pressure: float = 0.0
    nap_pressure: float = 0.0
    sleep_hours: float = 0.0
    nap_hours: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is due.

    Attributes:
        kind: a sleep or a nap.
        trigger: `pressure` or `schedule`.
    """

    kind: SleepKind
    trigger: str


def due(memory: Memory, schedule: Schedule, hours_since_sleep: float, hours_since_nap: float) -> Due | None:
    """Returns the sleep or nap that `memory` should begin now; None if none is due.

    By pressure, one begins only if a fact was written since the last, so that a sleep which cannot lower the pressure
    is not repeated forever. By the clock, a sleep begins only if it has something to do, and a nap only if something
    has happened that it could detect.

    Args:
        hours_since_sleep, hours_since_nap: hours since the last of its kind ended, or since the memory was created.
    """
    if memory.sleep is not None or memory.statistics is None or memory.pending:
        return None
    audited = [state for state in memory.facts.values() if state.in_weights or state.carried_by_edit]
    if not audited:
        return None
    written = max((edit.version for edit in memory.edits.values()), default=0)
    last_night = max((night.ended for night in memory.nights.values()), default=0)
    last_sleep = max((night.ended for night in memory.nights.values() if night.kind == SleepKind.SLEEP), default=0)
    unfinished = any(state.carried_by_edit or state.healthy is False for state in audited)
    now = pressure(memory).total
    if schedule.sleep_pressure and now >= schedule.sleep_pressure and written > last_sleep:
        return Due(kind=SleepKind.SLEEP, trigger="pressure")
    if schedule.sleep_hours and hours_since_sleep >= schedule.sleep_hours and unfinished:
        return Due(kind=SleepKind.SLEEP, trigger="schedule")
    if schedule.nap_pressure and now >= schedule.nap_pressure and written > last_night:
        return Due(kind=SleepKind.NAP, trigger="pressure")
    if schedule.nap_hours and hours_since_nap >= schedule.nap_hours and memory.version > last_night:
        return Due(kind=SleepKind.NAP, trigger="schedule")
    return None
