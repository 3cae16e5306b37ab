"""Where the events of a memory stand. A fork has those of its parent up to where it began, and its own after that.

Nothing is copied: a fork's first row is its MemoryForked, one version above the last that it shares.
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
    """The rows of `memory` with versions above `after`, up to `until`; without end where that is None."""

    memory: MemoryId
    after: int
    until: int | None = None

    def last(self, version: int) -> int:
        """`version`, or its last one if that is older."""
        return version if self.until is None else min(self.until, version)

    def up_to(self, version: int) -> Segment:
        return replace(self, until=self.last(version))


Ancestry = tuple[Segment, ...]  # oldest first; the last one is the memory's own


def ancestry(connection: Connection, memory: MemoryId) -> Ancestry:
    """The segments of `memory`; none while it has no events. They never change once it has one.

    Raises:
        Damaged: its first event is none that a memory begins with.
    """
    query = select(events.c.version, events.c.type, events.c.payload).where(events.c.memory == memory)
    first = connection.execute(query.order_by(events.c.version).limit(1)).first()
    if first is None:
        return ()
    begun = first.version - 1
    if not begun:
        return (Segment(memory, 0),)
    if first.type != MemoryForked.__name__:
        raise Damaged(f"memory {memory!r} begins with version {first.version} and is no fork; verify the log")
    parent = ancestry(connection, MemoryId(json.loads(first.payload)["parent"]))
    return (*(one.up_to(begun) for one in parent if one.after < begun), Segment(memory, begun))


def stitched(segments: Iterable[Segment], after: int = 0, until: int | None = None) -> ColumnElement[bool]:
    """The condition that a row is of `segments` and of a version above `after`, up to `until`."""
    bounded: Sequence[Segment] = [one if until is None else one.up_to(until) for one in segments]
    chosen = [one for one in bounded if one.until is None or one.until > max(one.after, after)]
    return or_(False, *(_within(replace(one, after=max(one.after, after))) for one in chosen))


def _within(segment: Segment) -> ColumnElement[bool]:
    versions = events.c.version > segment.after
    if segment.until is not None:
        versions = and_(versions, events.c.version <= segment.until)
    return and_(events.c.memory == segment.memory, versions)
