"""Group commit: one thread writes what all threads append, as many appends in one transaction as are waiting.

A commit waits for the disk, and meanwhile the next appends gather; so the disk is waited for once per group. Inside
a group each append succeeds or fails by itself: its failures are found before anything of it is written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from core.codec import SCHEMA
from core.errors import Conflict, EventReused, FactUnknown, HypnogramError
from core.events import Recorded
from core.ids import Digest, FactId, MemoryId
from store import clock, seal
from store.chain import Value, seal_row
from store.rows import Prepared, select_events, to_recorded, to_row
from store.schema import data_keys, events, head

GROUP = 4096  # events in one transaction, unless a single append has more
LOOKUP = 1000  # values in one IN list

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
        while (first := self._queue.get()) is not None:
            group = [first]
            size = len(first.events)
            stop = False
            while size < GROUP and not self._queue.empty():
                append = self._queue.get()
                if append is None:
                    stop = True
                    break
                group.append(append)
                size += len(append.events)
            self._commit(group)
            if stop:
                return

    def _commit(self, group: list[Append]) -> None:
        try:
            self._write_again_if_disconnected(group)
        except BaseException as error:
            for append in group:
                append.outcome = error
        for append in group:
            append.done.set()

    def _write_again_if_disconnected(self, group: list[Append]) -> None:
        """A lost connection leaves open whether the commit came through; writing again answers, for ids are unique."""
        try:
            self._write(group)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._write(group)

    def _write(self, group: list[Append]) -> None:
        with self._engine.begin() as connection:
            position, tail = connection.execute(_LOCK_HEAD).one()
            if tail != self._tail:
                self._versions.clear()  # another process wrote meanwhile
            self._tail = None
            transaction = _Transaction(connection, group, position, Digest(tail), self._versions)
            for append in group:
                try:
                    append.outcome = transaction.add(append)
                except HypnogramError as refusal:
                    append.outcome = refusal
            transaction.flush()
        self._tail = transaction.tail
        if transaction.rows:
            self._appended(transaction.position)


class _Transaction:
    """The rows that a group adds, placed one append after the other."""

    def __init__(
        self,
        connection: Connection,
        group: Sequence[Append],
        position: int,
        tail: Digest,
        versions: dict[MemoryId, int],
    ) -> None:
        self.position = position
        self.tail = tail
        self.rows: list[dict[str, Value]] = []
        self._connection = connection
        self._versions = versions
        self._now = clock.now()
        prepared = [event for append in group for event in append.events]
        self._stored: dict[str, Sequence[Any]] = {
            row.event_id: row for row in self._look_up(_BY_ID, [event.new.id for event in prepared])
        }
        facts = list({event.fact for event in prepared if event.fact is not None})
        self._keys: dict[FactId, bytes | None] = {row.fact: row.key for row in self._look_up(_KEYS, facts)}
        self._new_keys: dict[FactId, bytes] = {}

    def add(self, append: Append) -> tuple[Recorded, ...]:
        """Raises EventReused or Conflict, and then adds nothing."""
        if all(event.new.id in self._stored for event in append.events):
            return tuple([self._first_result(event, append.memory) for event in append.events])
        seen = set(self._stored)
        for event in append.events:
            if event.new.id in seen:
                raise EventReused(event.new.id)
            seen.add(event.new.id)
        version = self._version(append.memory)
        if append.expected is not None and append.expected != version:
            raise Conflict(append.memory, append.expected, version)
        for event in append.events:
            if event.fact is not None and self._keys.get(event.fact, b"") is None:
                raise FactUnknown(append.memory, event.fact)  # it was erased
        return tuple([self._place(event, append.memory) for event in append.events])

    def flush(self) -> None:
        if self._new_keys:
            rows = [{"fact": fact, "key": key} for fact, key in self._new_keys.items()]
            self._connection.execute(insert(data_keys), rows)
        if self.rows:
            self._connection.execute(insert(events), self.rows)
            self._connection.execute(_MOVE_HEAD, {"new_position": self.position, "new_hash": self.tail})

    def _place(self, event: Prepared, memory: MemoryId) -> Recorded:
        version = self._versions[memory] = self._version(memory) + 1
        self.position += 1
        key = None if event.fact is None else self._key(event.fact)
        row = to_row(event, key, memory=memory, version=version, position=self.position, recorded_at=self._now)
        previous, self.tail = self.tail, seal_row(row, self.tail)
        self.rows.append(row)
        recorded = Recorded(
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
        self._stored[event.new.id] = (*row.values(), event.fact, key)
        return recorded

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
            self._versions[memory] = self._connection.execute(_VERSION, {"memory": memory}).scalar() or 0
        return self._versions[memory]

    def _key(self, fact: FactId) -> bytes | None:
        if fact not in self._keys:
            self._keys[fact] = self._new_keys[fact] = seal.new_key()
        return self._keys[fact]

    def _look_up(self, statement: Any, values: Sequence[str]) -> Iterator[Any]:
        remaining = iter(values)
        while some := list(islice(remaining, LOOKUP)):
            yield from self._connection.execute(statement, {"some": some})


_LOCK_HEAD = select(head.c.position, head.c.hash).with_for_update()
_MOVE_HEAD = update(head).values(position=bindparam("new_position"), hash=bindparam("new_hash"))
_VERSION = select(func.max(events.c.version)).where(events.c.memory == bindparam("memory"))
_BY_ID = select_events().where(events.c.event_id.in_(bindparam("some", expanding=True)))
_KEYS = select(data_keys).where(data_keys.c.fact.in_(bindparam("some", expanding=True)))
