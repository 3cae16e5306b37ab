"""Group commit: writes what several threads append at the same time in one transaction, which waits for the disk once.

There is no writer thread. The first thread to append leads: it writes every append that waits, its own among them.
Appends that come meanwhile wait, and their first leads the next group, so that a lone client never waits for another
thread. Inside a group each append succeeds or fails by itself, because it is checked before any of it is written.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from core.errors.base import Conflict, EventReused, FactUnknown, HypnogramError
from core.errors.history import WordsErased
from core.events import Recorded
from core.events.codec import SCHEMA
from core.events.history import MemoryForked
from core.ids import Digest, FactId, MemoryId
from store import clock
from store.log.driver_session import Session, Stored, open_session
from store.log.hash_chain import Value, complete_row
from store.log.rows import Prepared, StoredRow, to_recorded, to_row
from store.sealing import event_fields

GROUP = 4096  # events in one transaction, unless a single append has more
PATIENCE = 0.25  # share of the last group's time that a leader waits for as many appends as of late

Outcome = tuple[Recorded, ...] | Exception


def _locked() -> threading.Lock:
    lock = threading.Lock()  # a sixth of the work of a threading.Event
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Append:
    """One caller's append on its way through the writer.

    Attributes:
        expected: the version that the memory must be at; None for any.
        needs: facts whose data keys must still exist.
        outcome: None while the append waits.
        woken: opened once the append is written, or has to lead the next group.
    """

    memory: MemoryId
    events: Sequence[Prepared]
    expected: int | None
    needs: Sequence[FactId] = ()
    outcome: Outcome | None = None
    woken: threading.Lock = field(default_factory=_locked)


class Writer:
    """The one writer of an open log. `appended` is called with the new last position after each commit."""

    def __init__(self, engine: Engine, appended: Callable[[int], None]) -> None:
        self._session = open_session(engine)
        self._appended = appended
        self._lock = threading.Condition()  # of the next five
        self._waiting: deque[Append] = deque()
        self._led = False
        self._closed = False
        self._crowd = 0  # how many threads appended at the same time of late
        self._seconds = 0.0  # that the last group took to write
        self._tail: Digest | None = None  # the log's last hash when this writer last wrote
        self._versions: dict[MemoryId, int] = {}  # of memories, when this writer last wrote

    def write(self, append: Append) -> tuple[Recorded, ...]:
        """Blocks until `append` is durable and returns its events as recorded; raises what made it fail."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the log is closed")
            self._waiting.append(append)
            follows, self._led = self._led, True
            if len(self._waiting) == self._crowd:
                self._lock.notify_all()
        if follows:
            self._follow(append)
        if append.outcome is None:
            self._lead(append)
        if isinstance(append.outcome, Exception):
            raise append.outcome
        assert append.outcome is not None
        return append.outcome

    def close(self) -> None:
        """Refuses further appends, and waits until those accepted are written."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not self._led)
        self._session.close()

    def _follow(self, append: Append) -> None:
        """Waits until `append` is written or has to lead."""
        try:
            append.woken.acquire()
        except BaseException:  # this thread was interrupted
            with self._lock:
                if append in self._waiting:
                    self._waiting.remove(append)
                    if not append.woken.locked():
                        self._elect()
            raise

    def _elect(self) -> None:
        """Wakes the first append that waits, to lead; called with the lock."""
        self._led = bool(self._waiting)
        if self._led:
            self._waiting[0].woken.release()
        else:
            self._lock.notify_all()

    def _lead(self, append: Append) -> None:
        """Writes one group, which begins with `append`; then wakes the leader of the next group."""
        group: list[Append] = []
        begin = time.monotonic()
        try:
            self._gather(group)
            for member, outcome in zip(group, self._outcomes(group), strict=True):
                member.outcome = outcome
        except BaseException:  # this thread was interrupted; the others go on, and their ids tell what was written
            with self._lock:
                self._waiting = deque(member for member in (*group, *self._waiting) if member is not append)
                self._session.renew()
            raise
        finally:
            with self._lock:
                self._crowd, self._seconds = len(group) + len(self._waiting), time.monotonic() - begin
                self._elect()
        for member in group[1:]:
            member.woken.release()

    def _gather(self, group: list[Append]) -> None:
        with self._lock:
            self._lock.wait_for(lambda: len(self._waiting) >= self._crowd, timeout=PATIENCE * self._seconds)
            size = 0
            while self._waiting and size < GROUP:
                group.append(self._waiting.popleft())
                size += len(group[-1].events)

    def _outcomes(self, group: Sequence[Append]) -> Sequence[Outcome]:
        """Writes `group` and returns the outcome of each append.

        The first attempt assumes that no event is in the log yet, which saves a query. Where that fails, or where the
        connection is lost, so that nothing is known of the commit, a second attempt looks up the ids of the events.
        """
        try:
            try:
                return self._write(group, look_up=False)
            except Exception as error:
                if self._session.lost:
                    self._session.renew()
                elif not isinstance(error, _MayBeStored) and not self._session.is_duplicate(error):
                    raise
                return self._write(group, look_up=True)
        except Exception as error:
            return [self._session.as_error(error)] * len(group)

    def _write(self, group: Sequence[Append], *, look_up: bool) -> Sequence[Outcome]:
        events = [event for append in group for event in append.events]
        facts = list(
            {event.fact for event in events if event.fact} | {fact for append in group for fact in append.needs}
        )
        try:
            stored = self._session.begin(facts, [event.new.id for event in events] if look_up else ())
            if stored.tail != self._tail:
                self._versions.clear()  # another process wrote meanwhile
            self._tail = None
            transaction = _Transaction(self._session, stored, self._versions)
            outcomes = [transaction.outcome(append, sure=look_up) for append in group]
            if transaction.rows:
                self._session.commit(transaction.new_keys, transaction.rows, transaction.position, transaction.tail)
            else:
                self._session.abandon()
        except Exception:
            if not self._session.lost:
                self._session.abandon()
            raise
        self._tail = transaction.tail
        self._appended(transaction.position)
        return outcomes


class _MayBeStored(Exception):
    """An append would be refused, unless it is a retry of one that succeeded."""


class _Transaction:
    """The rows that a group adds, one append after the other."""

    def __init__(self, session: Session, stored: Stored, versions: dict[MemoryId, int]) -> None:
        self.position = stored.position
        self.tail = stored.tail
        self.rows: list[dict[str, Value]] = []
        self.new_keys: list[dict[str, Value]] = []
        self._session = session
        self._versions = versions
        self._stored = stored.rows
        self._keys = stored.keys
        self._now = clock.now()

    def outcome(self, append: Append, *, sure: bool) -> Outcome:
        """Adds the events of `append` and returns them as recorded; or adds none and returns the refusal."""
        try:
            return self._add(append)
        except HypnogramError as refusal:
            if not sure:
                raise _MayBeStored from refusal
            return refusal

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
        for fact in append.needs:
            if self._keys.get(fact) is None:
                raise WordsErased(fact)
        for event in append.events:
            if event.fact is not None and self._keys.get(event.fact, b"") is None:
                raise FactUnknown(append.memory, event.fact)  # it was erased
        return tuple([self._place(event, append.memory) for event in append.events])

    def _place(self, event: Prepared, memory: MemoryId) -> Recorded:
        version = self._version(memory) + 1
        if version == 1 and isinstance(event.new.event, MemoryForked):
            version = event.new.event.version + 1
        self._versions[memory] = version
        self.position += 1
        key = None if event.fact is None else self._key(event.fact)
        row = to_row(event, key, memory=memory, version=version, position=self.position, recorded_at=self._now)
        previous, self.tail = self.tail, complete_row(row, self.tail)
        self.rows.append(row)
        self._stored[event.new.id] = StoredRow.of(row, event.fact, key)
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
        """Returns what the log holds under the id of `event`; raises EventReused when that is another event."""
        row = self._stored[event.new.id]
        recorded = to_recorded(row)
        asked = memory, event.new.cause, event.type, event.payload, event.fact
        same = asked == (recorded.memory, recorded.cause, row.type, row.payload, row.fact)
        if same and event.words is not None and row.key is not None:
            same = event_fields.seal(event.words, row.key, event.new.id) == row.sealed
        if not same:
            raise EventReused(event.new.id)
        return recorded

    def _version(self, memory: MemoryId) -> int:
        if memory not in self._versions:
            self._versions[memory] = self._session.version(memory)
        return self._versions[memory]

    def _key(self, fact: FactId) -> bytes:
        key = self._keys.get(fact)
        if key is None:
            key = self._keys[fact] = event_fields.new_key()
            self.new_keys.append({"fact": fact, "key": key})
        return key
