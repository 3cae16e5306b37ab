"""The impure sources of names and times."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from core.ids import EventId, uuid7


def next_uuid() -> str:
    """Returns a fresh UUIDv7, for events, facts and edits."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def next_event_id() -> EventId:
    return EventId(next_uuid())


def now() -> str:
    """Returns the time in UTC, as ISO 8601 with microseconds and `Z`."""
    return days_ago(0)


def days_ago(days: int) -> str:
    """Returns the time that many days ago in UTC, in the same form."""
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds").replace("+00:00", "Z")
