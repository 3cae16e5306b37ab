"""Verifies a log: everything that it says about itself, and every artifact that it names."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from core.errors.base import Damaged
from core.events import Event
from core.events.deletion import MemoryPurged
from core.events.facts import EditComputed
from core.events.history import AdaptersCompacted, MemoryForked
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import AdapterTrained
from core.ids import Digest
from store.artifacts import Artifacts
from store.database.engine import reading
from store.database.schema import events, head
from store.log.anchor import cut_short
from store.log.event_log import EventLog
from store.log.hash_chain import START, wrong_columns
from store.log.purging import removed_meanwhile
from store.log.rows import StoredRow, select_events, to_recorded

PAGE = 1000  # rows read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is not as it was written.

    Attributes:
        position: of the event it was found at; 0 where it belongs to no event.
        what: the damaged column or columns, `artifact`, `data key`, `event` (it is missing), `fork` (its parent was
            not as it says), `database`, `head` (it does not end the chain), `end` (events that were acknowledged are
            missing there) or `weights` (they cannot be rebuilt as recorded, which `service/app/verification.py` finds).
        message: what is wrong and what to do.
    """

    position: int
    what: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How many events and artifacts are intact, and the fault that ended the verification, if there is one."""

    events: int
    artifacts: int
    fault: Fault | None


def verify_log(log: EventLog, artifacts: Artifacts, progress: Callable[[int], None] = lambda position: None) -> Report:
    """Checks the log from its first event to the last one at this moment, and stops at the first fault.

    It checks: dense positions, dense versions, where forks begin, the chain over every column, the sealed words
    against their data keys, every artifact that an event names and no deletion removes, the head, on SQLite the file
    with its indexes, and that the log is as long as it was noted to be.

    Args:
        progress: called with the position reached.

    Raises:
        EventUnknown: an intact event is of a type that this version cannot read.
    """
    check = _Check(artifacts)
    try:
        noted = log.anchor.newest() if log.anchor else None
        with reading(log.engine).connect() as connection:
            check.run(connection, progress, lambda: removed_meanwhile(log, check.position))
            _check_pages(connection)
            if cut := cut_short(connection, noted):
                fault = Fault(position=int(cut.metadata["position"]), what="end", message=str(cut))
                return Report(events=check.position, artifacts=len(check.sound), fault=fault)
    except _Fault as error:
        before = error.fault.position - 1 if error.fault.position else check.position
        return Report(events=min(before, check.position), artifacts=len(check.sound), fault=error.fault)
    except DBAPIError as error:
        fault = _Fault(0, "database", f"cannot be read ({error.orig})").fault
        return Report(events=check.position, artifacts=len(check.sound), fault=fault)
    return Report(events=check.position, artifacts=len(check.sound), fault=None)


def follow_artifacts(needed: set[Digest], event: Event) -> None:
    """Adds the artifacts that `event` names to those that are needed, and removes those that it says were removed."""
    needed.update(named_artifacts(event))
    if isinstance(event, MemoryPurged):
        needed.difference_update(event.artifacts)


def named_artifacts(event: Event) -> tuple[Digest, ...]:
    """Returns the artifacts without which `event` cannot be replayed."""
    match event:
        case MemoryCreated():
            return (event.reference_text,) if event.reference_text else ()
        case StatisticsPrepared():
            inputs = [detectors.artifact for detectors in (event.detectors, event.upper) if detectors]
            return tuple(digest for digest in (event.artifact, event.reference_text, *inputs) if digest)
        case EditComputed():
            return (event.delta, event.statistics)
        case AdapterTrained() | AdaptersCompacted():
            return (event.delta,)
        case _:
            return ()


class _Fault(Exception):
    def __init__(self, position: int, what: str, problem: str) -> None:
        place = f"event {position}: " if position else ""
        self.fault = Fault(position=position, what=what, message=f"{place}{what}: {problem}; restore it from a backup")


def _check_pages(connection: Connection) -> None:
    """Checks what rows do not show: indexes and pages of the file. PostgreSQL checks its own."""
    if connection.dialect.name == "sqlite":
        result = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        if result != "ok":
            raise _Fault(0, "database", str(result).replace("\n", ": "))


class _Check:
    """A verification in progress: the first `position` events and the artifacts in `sound` are as they were written."""

    def __init__(self, artifacts: Artifacts) -> None:
        self.position = 0
        self.sound: set[Digest] = set()
        self._artifacts = artifacts
        self._tail = START
        self._versions: dict[str, int] = {}
        self._forks: dict[str, MemoryForked] = {}  # by the memory that begins with it
        self._faults: dict[Digest, _Fault] = {}  # of artifacts that no later event says were removed

    def run(
        self, connection: Connection, progress: Callable[[int], None], removed: Callable[[], Container[Digest]]
    ) -> None:
        end, tail = connection.execute(select(head.c.position, head.c.hash)).one()
        lowest: int | None = None
        while page := self._page(connection, lowest, end):
            for row in page:
                self._check(connection, row)
            lowest = self.position
            progress(lowest)
        gone = removed() if self._faults else ()
        for digest, fault in self._faults.items():  # the first one
            if digest not in gone:
                raise fault
        if self._tail != tail:
            if self.position < end:
                raise _Fault(self.position + 1, *self._gap(connection))
            raise _Fault(0, "head", f"names the hash {tail}, but that of event {end} is {self._tail}")
        if self.position != end:
            raise _Fault(0, "head", f"says {end} events, but the chain ends with event {self.position}")

    def _page(self, connection: Connection, after: int | None, end: int) -> list[StoredRow]:
        query = select_events().where(events.c.position <= end).order_by(events.c.position)
        query = query if after is None else query.where(events.c.position > after)
        try:
            return [StoredRow._make(row) for row in connection.execute(query.limit(PAGE))]
        except DBAPIError as error:
            raise self._unreadable(connection, error) from error

    def _check(self, connection: Connection, row: StoredRow) -> None:
        values = row._asdict()
        expected = self.position + 1
        if values["position"] != expected:
            if "position" in wrong_columns(values, str(values["previous_hash"])):
                raise _Fault(values["position"], "position", "was altered")
            raise _Fault(expected, *self._gap(connection))
        if wrong := wrong_columns(values, self._tail):
            raise _Fault(expected, ", ".join(wrong), "is not as it was written")
        event = self._opened(expected, row)
        memory = values["memory"]
        if isinstance(event, MemoryForked) and memory not in self._versions and values["version"] > 1:
            self._check_fork(connection, expected, event)
            self._forks[memory], self._versions[memory] = event, event.version
        if values["version"] != self._versions.get(memory, 0) + 1:
            problem = f"is {values['version']} after {self._versions.get(memory, 0)} in memory {memory!r}"
            raise _Fault(expected, "version", problem)
        self._check_artifacts(expected, event)
        self.position, self._tail, self._versions[memory] = expected, values["hash"], values["version"]

    def _opened(self, position: int, row: StoredRow) -> Event:
        """Returns the event of an intact row, with its sealed words."""
        try:
            return to_recorded(row).event
        except Damaged as error:
            raise _Fault(position, "data key", str(error)) from error

    def _check_fork(self, connection: Connection, position: int, forked: MemoryForked) -> None:
        """Checks that the last event which a fork shares stands where the fork says, and before it."""
        owner: str = forked.parent
        while owner in self._forks and forked.version <= self._forks[owner].version:
            owner = self._forks[owner].parent
        query = select(events.c.hash).where(events.c.memory == owner, events.c.version == forked.version)
        hash_ = connection.execute(query.where(events.c.position < position)).scalar()
        if hash_ != forked.hash:
            problem = f"memory {forked.parent!r} has no version {forked.version} whose hash is {forked.hash}"
            raise _Fault(position, "fork", problem)

    def _check_artifacts(self, position: int, event: Event) -> None:
        for digest in named_artifacts(event):
            if digest not in self.sound:
                try:
                    self._artifacts.get(digest)
                except (Damaged, OSError) as error:
                    problem = str(error) if isinstance(error, Damaged) else f"{digest} cannot be read ({error})"
                    self._faults.setdefault(digest, _Fault(position, "artifact", problem))
                else:
                    self.sound.add(digest)
        if isinstance(event, MemoryPurged):
            for digest in event.artifacts:
                self._faults.pop(digest, None)

    def _gap(self, connection: Connection) -> tuple[str, str]:
        """Returns what is wrong with the event that should come next: it is missing, or its position was altered."""
        moved = connection.execute(select(events.c.position).where(events.c.previous_hash == self._tail)).scalar()
        return ("event", "is missing") if moved is None else ("position", f"was altered to {moved}")

    def _unreadable(self, connection: Connection, error: DBAPIError) -> _Fault:
        """Returns the first column, of the first row after the intact ones, that the database cannot read."""
        for number in range(self.position + 1, self.position + 1 + PAGE):
            for column in events.c:
                try:
                    connection.execute(select(column).where(events.c.position == number)).all()
                except DBAPIError as refusal:
                    return _Fault(number, column.name, f"cannot be read ({refusal.orig})")
        return _Fault(0, "database", f"cannot be read ({error.orig})")
