"""Where the events of a memory stand: a fork has those of its parent up to where it began, and its own after that.

No row is copied. The first row of a fork is its MemoryForked, one version above the last that it shares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from core.errors.base import Damaged
from core.events.history import MemoryForked
from core.ids import MemoryId
from store.database.schema import events


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of `memory` with versions above `after`, up to `until`; all of them where `until` is None."""

    memory: MemoryId
    after: int
    until: int | None = None

    def last(self, version: int) -> int:
        """Returns `version`, or the last version of the segment if that is older."""
        return version if self.until is None else min(self.until, version)

    def up_to(self, version: int) -> Segment:
        """Returns the rows of the segment up to `version`."""
        return replace(self, until=self.last(version))


Ancestry = tuple[Segment, ...]  # oldest first; the last one is the memory's own


def ancestry(connection: Connection, memory: MemoryId) -> Ancestry:
    """Returns the segments of `memory`, none before its first event; they never change after it.

    Raises:
        Damaged: no memory begins with an event like its first.
    """
    query = select(events.c.version, events.c.type, events.c.payload).where(events.c.memory == memory)
    first = connection.execute(query.order_by(events.c.version).limit(1)).first()
    if first is None:
        return ()
    begun = first.version - 1
    if not begun:
        return (Segment(memory, 0),)
    if first.type != MemoryForked.__name__:
        raise Damaged(f"memory {memory!r} begins with version {first.version} and is not a fork; verify the log")
    parent = ancestry(connection, MemoryId(json.loads(first.payload)["parent"]))
    return (*(segment.up_to(begun) for segment in parent if segment.after < begun), Segment(memory, begun))


def stitched(segments: Iterable[Segment], after: int = 0, until: int | None = None) -> ColumnElement[bool]:
    """Returns the condition that a row is in `segments` and its version above `after`, up to `until`."""
    bounded: Sequence[Segment] = [segment if until is None else segment.up_to(until) for segment in segments]
    later = [replace(segment, after=max(segment.after, after)) for segment in bounded]
    return or_(
        False, *(_within(segment) for segment in later if segment.until is None or segment.until > segment.after)
    )


def _within(segment: Segment) -> ColumnElement[bool]:
    versions = events.c.version > segment.after
    if segment.until is not None:
        versions = and_(versions, events.c.version <= segment.until)
    return and_(events.c.memory == segment.memory, versions)
