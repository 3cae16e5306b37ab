"""When a memory sleeps or naps by itself: by pressure, or by the clock. Off unless somebody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from core.state.memory import Memory
from core.state.pressure import pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Zero is never.

    Attributes:
        sleep_pressure, nap_pressure: from this pressure on.
        sleep_hours: this long after the last one, while an edit carries a fact or a fact is degraded.
        nap_hours: this long after the last one, when anything has happened since the last night.
    """

    sleep_pressure: float = 0.0
    nap_pressure: float = 0.0
    sleep_hours: float = 0.0
    nap_hours: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """`sleep` or `nap`, and the trigger, `pressure` or `schedule`."""

    kind: str
    trigger: str


def due(memory: Memory, schedule: Schedule, hours_since_sleep: float, hours_since_nap: float) -> Due | None:
    """What `memory` should begin now; None when nothing.

    By pressure, a night begins only when a fact was written since the last one, so that a night which leaves the
    pressure high is not repeated for ever. By the clock, a sleep begins only while there is something for it to do, and
    a nap only when something happened that it could find.

    Args:
        hours_since_sleep, hours_since_nap: since the last of its kind ended, or since the memory was created.
    """
    if memory.sleep is not None or memory.statistics is None or memory.pending:
        return None
    asked = [state for state in memory.facts.values() if state.in_weights or state.carried_by_edit]
    if not asked:
        return None
    written = max((edit.version for edit in memory.edits.values()), default=0)
    night = max((night.ended for night in memory.nights.values()), default=0)
    sleep = max((night.ended for night in memory.nights.values() if night.kind == "sleep"), default=0)
    unfinished = any(state.carried_by_edit or state.healthy is False for state in asked)
    now = pressure(memory).total
    if schedule.sleep_pressure and now >= schedule.sleep_pressure and written > sleep:
        return Due(kind="sleep", trigger="pressure")
    if schedule.sleep_hours and hours_since_sleep >= schedule.sleep_hours and unfinished:
        return Due(kind="sleep", trigger="schedule")
    if schedule.nap_pressure and now >= schedule.nap_pressure and written > night:
        return Due(kind="nap", trigger="pressure")
    if schedule.nap_hours and hours_since_nap >= schedule.nap_hours and memory.version > night:
        return Due(kind="nap", trigger="schedule")
    return None
