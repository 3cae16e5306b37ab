"""Which versions of memories have names, without folding: the events that give or drop names are read, each once."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from core.events.history import CheckpointMarked, MemoryForked
from core.events.memory import MemoryCreated
from core.ids import MemoryId
from store.database.engine import reading
from store.database.schema import events
from store.log.ancestry import Ancestry, stitched
from store.log.event_log import EventLog
from store.log.listing import Listed

BEGINS = (MemoryCreated.__name__, MemoryForked.__name__)
READ = (*BEGINS, CheckpointMarked.__name__)


@dataclass(frozen=True, slots=True)
class Names:
    """What has a name in a memory.

    Attributes:
        first: version of the first event that is the memory's own, not its parent's.
        checkpoints: versions by the names of their checkpoints.
        times: when `first`, the newest and the named versions were recorded, as `store/clock.py` writes times.
    """

    first: int
    checkpoints: dict[str, int]
    times: dict[int, str]


@dataclass(frozen=True, slots=True)
class _Event:
    version: int
    type: str
    recorded_at: str
    name: str = ""
    named: int = 0


class NamedVersions:
    """Follows a log. Blocking, and safe for any thread."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reading = reading(log.engine)
        self._events: dict[MemoryId, list[_Event]] = {}
        self._position = 0
        self._lock = threading.Lock()

    def names(self, memories: Sequence[Listed]) -> list[Names]:
        """Returns the names of each memory that is listed."""
        with self._lock:
            self._follow()
        ancestries = [self._log.ancestry(listed.memory) for listed in memories]
        with self._reading.connect() as connection:
            return [
                self._names(connection, segments, listed) for segments, listed in zip(ancestries, memories, strict=True)
            ]

    def _names(self, connection: Connection, segments: Ancestry, listed: Listed) -> Names:
        checkpoints: dict[str, int] = {}
        first, times = 0, {listed.version: listed.recorded_at}
        for segment in segments:
            for event in tuple(self._events.get(segment.memory, ())):
                if not segment.after < event.version == segment.last(event.version):
                    continue
                if event.type in BEGINS:
                    first, times[event.version] = event.version, event.recorded_at
                if event.type == MemoryCreated.__name__:  # a deleted memory may have had its name
                    checkpoints.clear()
                if event.name:
                    checkpoints[event.name] = event.named
        if unknown := set(checkpoints.values()) - times.keys():
            query = select(events.c.version, events.c.recorded_at)
            rows = connection.execute(query.where(stitched(segments), events.c.version.in_(unknown)))
            times |= dict(row.tuple() for row in rows)
        return Names(first, checkpoints, times)

    def _follow(self) -> None:
        """Reads what was appended since the last time."""
        end = self._log.position()
        columns = select(events.c.memory, events.c.version, events.c.type, events.c.recorded_at, events.c.payload)
        query = columns.where(events.c.position > self._position, events.c.position <= end, events.c.type.in_(READ))
        with self._reading.connect() as connection:
            rows = connection.execute(query.order_by(events.c.position)).all()
        for row in rows:
            event = _Event(row.version, row.type, row.recorded_at)
            if row.type == CheckpointMarked.__name__:
                marked = json.loads(row.payload)
                event = _Event(row.version, row.type, row.recorded_at, marked["name"], marked["version"])
            self._events.setdefault(MemoryId(row.memory), []).append(event)
        self._position = end
