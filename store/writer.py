"""Group commit: one thread writes what all threads append, as many appends in one transaction as are waiting.

A commit waits for the disk, and meanwhile the next appends gather; so the disk is waited for once per group. Inside
a group each append succeeds or fails by itself: its failures are found before anything of it is written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.codec import SCHEMA
from core.errors import Conflict, EventReused, FactUnknown, HypnogramError
from core.events import Recorded
from core.ids import Digest, EventId, FactId, MemoryId
from store import clock, seal
from store.chain import Value, seal_row
from store.rows import Prepared, to_recorded, to_row
from store.statements import Statements

GROUP = 4096  # events in one transaction, unless a single append has more

Outcome = tuple[Recorded, ...] | BaseException


@dataclass(slots=True)
class Append:
    """One caller's append on its way through the writer."""

    memory: MemoryId
    events: Sequence[Prepared]
    expected: int | None
    done: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome = ()

    def result(self) -> tuple[Recorded, ...]:
        """Blocks until the append is durable; raises what made it fail."""
        self.done.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Writer:
    """The writing thread of one log. `appended` is called with the new last position after each commit."""

    def __init__(self, engine: Engine, appended: Callable[[int], None]) -> None:
        self._engine = engine
        self._appended = appended
        self._statements = Statements(engine.dialect)
        self._queue: SimpleQueue[Append | None] = SimpleQueue()
        self._tail: Digest | None = None  # the log's last hash when this thread last wrote
        self._versions: dict[MemoryId, int] = {}  # as of then
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, append: Append) -> None:
        self._queue.put(append)

    def close(self) -> None:
        """Writes what was submitted, then stops."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while (first := self._queue.get()) is not None:
                group, size, last = [first], len(first.events), False
                while size < GROUP and not last and not self._queue.empty():
                    append = self._queue.get()
                    if append is None:
                        last = True
                    else:
                        group.append(append)
                        size += len(append.events)
                self._commit(connection, group)
                if last:
                    return

    def _commit(self, connection: Connection, group: list[Append]) -> None:
        try:
            self._write_until_sure(connection, group)
        except BaseException as error:
            for append in group:
                append.outcome = error
        for append in group:
            append.done.set()

    def _write_until_sure(self, connection: Connection, group: list[Append]) -> None:
        """Writes at most twice.

        The first time it is taken for granted that no event id is in the log already, which saves a look. A lost
        connection leaves open whether the commit came through; the second time, the ids tell.
        """
        try:
            self._write(connection, group, look_up=False)
        except (_MayBeStored, IntegrityError):
            self._write(connection, group, look_up=True)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._write(connection, group, look_up=True)

    def _write(self, connection: Connection, group: list[Append], *, look_up: bool) -> None:
        with connection.begin():
            position, tail = self._statements.lock_head.run(connection).one()
            if tail != self._tail:
                self._versions.clear()  # another process wrote meanwhile
            self._tail = None
            transaction = _Transaction(connection, self._statements, self._versions, position, tail)
            transaction.look_up(group, ids=look_up)
            outcomes = [transaction.outcome(append) for append in group]
            transaction.flush()
        self._tail = transaction.tail
        for append, outcome in zip(group, outcomes, strict=True):
            append.outcome = outcome
        if transaction.rows:
            self._appended(transaction.position)


class _MayBeStored(Exception):
    """An append would be refused, unless it is a retry of one that succeeded."""


class _Transaction:
    """The rows that a group adds, placed one append after the other."""

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        versions: dict[MemoryId, int],
        position: int,
        tail: Digest,
    ) -> None:
        self.position = position
        self.tail = tail
        self.rows: list[dict[str, Value]] = []
        self._connection = connection
        self._statements = statements
        self._versions = versions
        self._now = clock.now()
        self._stored: dict[EventId, Sequence[Any]] = {}
        self._looked_up = False
        self._keys: dict[FactId, bytes | None] = {}
        self._new_keys: list[dict[str, Value]] = []

    def look_up(self, group: Sequence[Append], *, ids: bool) -> None:
        """Asks what the log holds of `group` already: the keys of its facts and, if `ids`, its events."""
        facts = {event.fact for append in group for event in append.events if event.fact is not None}
        if facts:
            rows = self._statements.keys.run(self._connection, self._statements.several(list(facts)))
            self._keys = {row[0]: row[1] for row in rows}
        if ids:
            several = self._statements.several([event.new.id for append in group for event in append.events])
            self._stored = {row[1]: row for row in self._statements.events_by_id.run(self._connection, several)}
            self._looked_up = True

    def outcome(self, append: Append) -> Outcome:
        """Places the events of `append`; or says why not, and then places none of them."""
        try:
            return self._add(append)
        except HypnogramError as refusal:
            if not self._looked_up:
                raise _MayBeStored from refusal
            return refusal

    def flush(self) -> None:
        if self._new_keys:
            self._statements.insert_keys.run(self._connection, *self._new_keys)
        if self.rows:
            self._statements.insert_events.run(self._connection, *self.rows)
            self._statements.move_head.run(self._connection, {"to": self.position, "tail": self.tail})

    def _add(self, append: Append) -> tuple[Recorded, ...]:
        if all(event.new.id in self._stored for event in append.events):
            return tuple([self._first_result(event, append.memory) for event in append.events])
        ids = set()
        for event in append.events:
            if event.new.id in self._stored or event.new.id in ids:
                raise EventReused(event.new.id)
            ids.add(event.new.id)
        version = self._version(append.memory)
        if append.expected is not None and append.expected != version:
            raise Conflict(append.memory, append.expected, version)
        for event in append.events:
            if event.fact is not None and self._keys.get(event.fact, b"") is None:
                raise FactUnknown(append.memory, event.fact)  # it was erased
        return tuple([self._place(event, append.memory) for event in append.events])

    def _place(self, event: Prepared, memory: MemoryId) -> Recorded:
        version = self._versions[memory] = self._version(memory) + 1
        self.position += 1
        key = None if event.fact is None else self._key(event.fact)
        row = to_row(event, key, memory=memory, version=version, position=self.position, recorded_at=self._now)
        previous, self.tail = self.tail, seal_row(row, self.tail)
        self.rows.append(row)
        self._stored[event.new.id] = (*row.values(), event.fact, key)
        return Recorded(
            id=event.new.id,
            memory=memory,
            version=version,
            position=self.position,
            recorded_at=self._now,
            cause=event.new.cause,
            schema=SCHEMA,
            event=event.new.event,
            previous_hash=previous,
            hash=self.tail,
        )

    def _first_result(self, event: Prepared, memory: MemoryId) -> Recorded:
        """What the log holds under the id of `event`; raises EventReused when that is something else."""
        row = self._stored[event.new.id]
        recorded = to_recorded(row)
        type_, _, payload, fact, sealed, *_, key = row[9:]
        same = (memory, event.new.cause, event.type, event.payload, event.fact) == (
            recorded.memory,
            recorded.cause,
            type_,
            payload,
            fact,
        )
        if same and event.words is not None and key is not None:
            same = seal.seal(event.words, key, event.new.id) == sealed
        if not same:
            raise EventReused(event.new.id)
        return recorded

    def _version(self, memory: MemoryId) -> int:
        if memory not in self._versions:
            rows = self._statements.version.run(self._connection, {"of": memory})
            self._versions[memory] = rows.scalar() or 0
        return self._versions[memory]

    def _key(self, fact: FactId) -> bytes:
        key = self._keys.get(fact)
        if key is None:
            key = self._keys[fact] = seal.new_key()
            self._new_keys.append({"fact": fact, "key": key})
        return key
