"""Lists the memories of a log, each with its newest event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select, text

from core.events.deletion import MemoryDeleted, MemoryPurged
from core.ids import MemoryId
from store.database.schema import events


@dataclass(frozen=True, slots=True)
class Listed:
    """A memory and the version, position and time of its newest event; a deleted one was purged, or is about to be."""

    memory: MemoryId
    version: int
    position: int
    deleted: bool
    recorded_at: str = field(default="", compare=False)


def list_memories(connection: Connection) -> list[Listed]:
    """Returns every memory by name, without those that were deleted and purged."""
    rows = connection.execute(_MEMORIES).all()
    return [_listed(row) for row in rows if row.type != MemoryPurged.__name__]  # after it only a new memory can follow


def list_moved(connection: Connection, after_position: int) -> list[Listed]:
    """Returns the memories with events after `after_position`, the most recent first, deleted ones included."""
    query = select(
        events.c.memory.label("name"), events.c.version, events.c.position, events.c.recorded_at, events.c.type
    )
    query = query.where(events.c.position > after_position).order_by(events.c.position)
    rows = connection.execute(query if after_position else _MEMORIES).all()
    newest = {row.name: _listed(row) for row in rows}
    return sorted(newest.values(), key=lambda listed: -listed.position)


def _listed(row: Any) -> Listed:
    gone = row.type in (MemoryDeleted.__name__, MemoryPurged.__name__)
    return Listed(MemoryId(row.name), row.version, row.position, gone, row.recorded_at)


# One step of the index per memory; a plain DISTINCT would walk over every event.
_NAMES = """
    WITH RECURSIVE names (name) AS (
        SELECT min(memory) FROM events
        UNION ALL SELECT (SELECT min(memory) FROM events WHERE memory > name) FROM names WHERE name IS NOT NULL
    )
    """
_MEMORIES = text(
    f"""{_NAMES}
    SELECT name, version, position, recorded_at, type FROM names JOIN events ON memory = name
    WHERE version = (SELECT max(version) FROM events WHERE memory = name)
    ORDER BY name
    """
)
