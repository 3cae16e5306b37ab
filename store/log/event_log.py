"""The event log: the only truth about every memory, on SQLite or PostgreSQL.

    with EventLog.open("sqlite:///hypnogram.db") as log:
        log.append(memory, [NewEvent(id=next_event_id(), event=event, cause=cause)], expected=log.head(memory))

Positions are dense and become visible in their order, so that a reader which asks for the events after the last
position it has seen misses none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine, func, select

from core.errors.base import LogCutShort, MemoryUnknown
from core.events import Recorded
from core.events.deletion import MemoryPurged
from core.ids import FactId, MemoryId
from core.state.version import check_version
from store.database.engine import connect, migrate, reading
from store.database.schema import events, head
from store.log.ancestry import Ancestry, ancestry, stitched
from store.log.anchor import Anchor, begin_anew, cut_short
from store.log.group_commit import Append, Writer
from store.log.listing import Listed, list_memories, list_moved
from store.log.rows import NewEvent, StoredRow, check_memory, prepare, select_events, to_recorded
from store.sealing.keyring import Keyring

PAGE = 1000  # events read at once
POLL_SECONDS = 0.075  # how late a reader may see what another process appended


class EventLog:
    """An open log. Every method may be called from any thread.

    Attributes:
        cut_short: which acknowledged events are missing at the end of the log; None where it is whole.
    """

    def __init__(self, engine: Engine, anchors: Path | None = None) -> None:
        self.engine = engine
        self.anchor = None if anchors is None else Anchor(engine, anchors)
        self.keyring = Keyring(engine)
        self._reading = reading(engine)
        self.cut_short = self._cut_short()
        self._news = threading.Condition()
        self._seen = 0  # the last position that this process knows of
        self._polled = 0.0  # when the database was last asked for it
        self._ancestries: dict[MemoryId, Ancestry] = {}
        self._writer = Writer(engine, self._committed)
        if self.anchor and not self.cut_short:
            self.anchor.start()

    @classmethod
    def open(cls, url: str, anchors: Path | None = None) -> EventLog:
        """Opens the database at `url`; creates or upgrades its tables where needed.

        Args:
            anchors: folder for notes of where the log ends; without it, a lost end stays unnoticed.

        Raises:
            SchemaMismatch: it was written by a newer version, or by another program.
            InvalidField: `url` names no supported database, or one that cannot be reached.
            Damaged: the notes cannot be read.
        """
        engine = connect(url)
        try:
            migrate(engine)
            return cls(engine, anchors)
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Finishes the appends under way and closes the database."""
        self._writer.close()
        if self.anchor:
            self.anchor.close()
        self.engine.dispose()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def accept_loss(self) -> None:
        """Accepts where the log ends now, whatever was acknowledged before."""
        begin_anew(self.engine)
        self.cut_short = None
        if self.anchor:
            self.anchor.note()

    def append(
        self, memory: MemoryId, events: Sequence[NewEvent], expected: int | None, needs: Sequence[FactId] = ()
    ) -> tuple[Recorded, ...]:
        """Appends all `events` or none, and returns once they are durable.

        Args:
            expected: the version that the memory must be at (0 before its first event); None for any.
            needs: facts whose data keys must still exist.

        Returns:
            The events as recorded: by an earlier call, where all their ids were appended before.

        Raises:
            Conflict: the memory is at another version.
            EventReused: an id was appended before, with other content or among other events.
            FactUnknown: an event would seal words of a fact that was erased.
            WordsErased: one of `needs` was erased.
        """
        if not events:
            return ()
        check_memory(memory)
        return self._writer.write(Append(memory, [prepare(event) for event in events], expected, needs))

    def read(
        self, *, memory: MemoryId | None = None, after_version: int = 0, after_position: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        """Returns the next events in order, of one memory or of all; at most `limit`.

        Events that a fork shares with its parent carry the name of the parent, as they were recorded.

        Raises:
            EventUnknown: one is of a type that this version cannot read.
            Damaged: one cannot be read at all.
        """
        query = select_events().order_by(events.c.position).limit(limit)
        if after_position:
            query = query.where(events.c.position > after_position)
        if memory is not None:
            until = None if after_position else after_version + limit  # versions are dense
            query = query.where(stitched(self.ancestry(memory), after_version, until))
            query = query.order_by(None).order_by(events.c.version)
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return [to_recorded(StoredRow._make(row)) for row in rows]

    def iterate(
        self, memory: MemoryId | None = None, *, after_version: int = 0, until_version: int | None = None
    ) -> Iterator[Recorded]:
        """Yields the events of one memory or of all in order, read in pages.

        Args:
            after_version, until_version: of `memory`: the version before the first event, and that of the last one; to
                the end of the log by default.
        """
        version, position = after_version, 0
        while until_version is None or version < until_version:
            limit = PAGE if until_version is None else min(PAGE, until_version - version)
            page = (
                self.read(after_position=position, limit=limit)
                if memory is None
                else self.read(memory=memory, after_version=version, limit=limit)
            )
            yield from page
            if not page or (until_version is None and len(page) < limit):
                return
            version, position = page[-1].version, page[-1].position

    def head(self, memory: MemoryId) -> int:
        """Returns the newest version of `memory`; 0 when there is no such memory."""
        with self._reading.connect() as connection:
            query = select(func.max(events.c.version)).where(events.c.memory == memory)
            version: int | None = connection.execute(query).scalar()
        return version or 0

    def existing_version(self, memory: MemoryId, version: int | None) -> int:
        """Returns `version` once it is sure that the memory had it; the newest one for None.

        Raises:
            MemoryUnknown: there is no such memory.
            VersionUnknown: the memory never had that version.
        """
        newest = self.head(memory)
        if not newest:
            raise MemoryUnknown(memory)
        wanted = newest if version is None else version
        check_version(memory, wanted, newest)
        return wanted

    def begun(self, memory: MemoryId) -> int:
        """Returns the last version of deleted memories that had the name, or an ancestor's, before; 0 for none."""
        query = select(func.max(events.c.version)).where(stitched(self.ancestry(memory)))
        with self._reading.connect() as connection:
            version: int | None = connection.execute(query.where(events.c.type == MemoryPurged.__name__)).scalar()
        return version or 0

    def version_at(self, memory: MemoryId, time: str) -> int:
        """Returns the newest version recorded at `time` or before; 0 before the first.

        For a fork it may be a version of the parent, from before the fork was made.

        Args:
            time: as in `Recorded.recorded_at`.
        """
        for segment in reversed(self.ancestry(memory)):
            query = select(events.c.version).where(stitched((segment,)), events.c.recorded_at <= time)
            with self._reading.connect() as connection:
                version: int | None = connection.execute(query.order_by(events.c.version.desc()).limit(1)).scalar()
            if version is not None:
                return version
        return 0

    def ancestry(self, memory: MemoryId) -> Ancestry:
        """Returns where the events of `memory` stand, oldest first; nothing when there is no such memory."""
        if memory not in self._ancestries:
            with self._reading.connect() as connection:
                segments = ancestry(connection, memory)
            if not segments:
                return ()
            self._ancestries[memory] = segments
        return self._ancestries[memory]

    def relatives(self, memory: MemoryId) -> list[MemoryId]:
        """Returns the memories that share events with `memory`: its ancestors, and every fork of these or of itself."""
        line = {segment.memory for segment in self.ancestry(memory)}
        return [
            relative
            for relative in self.memories()
            if relative != memory and not line.isdisjoint(segment.memory for segment in self.ancestry(relative))
        ]

    def heads(self, after_position: int) -> dict[MemoryId, int]:
        """Returns the newest version of each memory that has events after `after_position`."""
        query = select(events.c.memory, func.max(events.c.version)).where(events.c.position > after_position)
        with self._reading.connect() as connection:
            return {MemoryId(memory): version for memory, version in connection.execute(query.group_by("memory"))}

    def position(self) -> int:
        """Returns the last position; 0 when the log is empty."""
        with self._reading.connect() as connection:
            position: int = connection.execute(select(head.c.position)).scalar_one()
        return position

    def memories(self) -> list[MemoryId]:
        """Returns every memory by name, without those that were deleted and purged."""
        return [listed.memory for listed in self.listed()]

    def listed(self) -> list[Listed]:
        """Returns every memory with its newest event, by name, without those that were deleted and purged."""
        with self._reading.connect() as connection:
            return list_memories(connection)

    def moved(self, after_position: int) -> list[Listed]:
        """Returns the memories with events after `after_position`, deleted ones included, the most recent first."""
        with self._reading.connect() as connection:
            return list_moved(connection, after_position)

    def wait(self, after_position: int, timeout: float, stop: threading.Event | None = None) -> int:
        """Blocks until the log is longer than `after_position`, at most `timeout` seconds; returns its last position.

        Wakes at once for appends through this object, within `POLL_SECONDS` for those of other processes and for
        `stop`, at once if `wake` follows.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._poll()
            with self._news:
                remaining = deadline - time.monotonic()
                if self._seen > after_position or remaining <= 0 or (stop is not None and stop.is_set()):
                    return self._seen
                self._news.wait(min(POLL_SECONDS, remaining))

    def wake(self) -> None:
        """Makes every `wait` look whether it has to stop."""
        with self._news:
            self._news.notify_all()

    def _cut_short(self) -> LogCutShort | None:
        noted = self.anchor.newest() if self.anchor else None
        with self._reading.connect() as connection:
            return cut_short(connection, noted)

    def _committed(self, position: int) -> None:
        self._appended(position)
        if self.anchor:
            self.anchor.moved()

    def _poll(self) -> None:
        """Asks the database for the last position, unless a thread did so less than `POLL_SECONDS` ago."""
        with self._news:
            now = time.monotonic()
            if now - self._polled < POLL_SECONDS and self._polled:
                return
            self._polled = now
        self._appended(self.position())

    def _appended(self, position: int) -> None:
        with self._news:
            if position > self._seen:
                self._seen = position
                self._news.notify_all()
