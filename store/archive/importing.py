"""Imports an archive: its memory becomes one of this database, in one transaction, with its events as they were."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select, update

from core.errors.archive import ArchiveDamaged, EventsTaken, FactTaken, MemoryTaken
from core.errors.base import Damaged, InvalidField
from core.events import Event
from core.events.codec import canonical
from core.evolve import fold
from core.ids import Digest, FactId, MemoryId
from core.state.memory import NOTHING, Memory
from store.archive.exporting import ARTIFACTS, AS_THEY_ARE, CAUSE, EVENTS, KEYS, PAGE, Archived, check_keys
from store.archive.tar import BACKUP, MANIFEST, Unpacked, unpack
from store.artifacts import Artifacts
from store.database.engine import reading
from store.database.schema import data_keys, events, head
from store.log.event_log import EventLog
from store.log.hash_chain import Value, complete_row
from store.log.rows import StoredRow, check_memory, storable, to_recorded
from store.log.verify import follow_artifacts

Keys = Mapping[FactId, bytes | None]
Columns = dict[str, Value]
Item = TypeVar("Item")


def verify_archive(path: Path) -> None:
    """Verifies the archive `path`, as an import does before it reads the database.

    Raises:
        InvalidField: there is no such file.
        ArchiveTooNew, EventUnknown: it was made by a later version.
        ArchiveDamaged: it was altered or cut short; names the member.
        WordsErased: its memory needs a fact that was erased.
    """
    with _arrived(path):
        pass


def import_archive(path: Path, log: EventLog, artifacts: Artifacts, memory: MemoryId | None = None) -> Archived:
    """Imports the archive `path` under the name `memory`, by default the name it had.

    Every byte of the file is verified, and every event decoded, before anything is written. The artifacts are written
    first, because nothing reads them until an event names them; then all events in one transaction.

    Raises:
        InvalidField: there is no such file, or a memory cannot have that name.
        ArchiveTooNew, EventUnknown: it was made by a later version.
        ArchiveDamaged: it was altered or cut short; names the member.
        WordsErased: its memory needs a fact that was erased.
        MemoryTaken: the database has a memory of that name.
        EventsTaken, FactTaken: the database has some of the events or facts already.
    """
    with _arrived(path) as arrival:
        name = memory or MemoryId(str(arrival.unpacked.manifest.get("memory")))
        check_memory(name)
        with reading(log.engine).connect() as connection:
            arrival.refuse_taken(connection, name)
        for digest in sorted(arrival.artifacts):
            artifacts.put(b"".join(arrival.unpacked.chunks(ARTIFACTS + digest)))
        with log.engine.begin() as connection:
            arrival.adopt(connection, name)
        return Archived(
            memory=name,
            version=arrival.state.version,
            weights=arrival.state.weights,
            facts=len(arrival.facts),
            erased=sum(arrival.keys[fact] is None for fact in arrival.facts),
            artifacts=len(arrival.artifacts),
            size=arrival.unpacked.file.seek(0, 2),
        )


@contextmanager
def _arrived(path: Path) -> Iterator[_Arrival]:
    """Opens and verifies the archive `path`."""
    try:
        file = path.open("rb")
    except OSError as error:
        problem = f"{str(path)!r} cannot be read: {error.strerror}; name an archive that was exported"
        raise InvalidField("path", problem) from None
    with file:
        arrival = _Arrival(unpack(file, path))
        arrival.verify()
        yield arrival


class _Arrival:
    """An archive on its way into a database: its file, its state, keys and artifacts."""

    def __init__(self, unpacked: Unpacked) -> None:
        self.unpacked = unpacked
        self.state: Memory = NOTHING
        self.keys: Keys = {}
        self.artifacts: set[Digest] = set()
        self._ids: list[str] = []

    @property
    def facts(self) -> list[FactId]:
        """Its facts with words, those that were erased included."""
        of_conversations = {conversation.key for conversation in self.state.conversations.values()}
        return [key for key in self.keys if key not in of_conversations]

    def verify(self) -> None:
        """Checks that the members belong together.

        Raises:
            ArchiveDamaged: they do not belong together.
            EventUnknown: an event is of a type or schema that this version cannot read.
            WordsErased: the memory needs words of a fact that has no key.
        """
        members, manifest = self.unpacked.members, self.unpacked.manifest
        if manifest.get("kind") == BACKUP:
            raise InvalidField("path", "it holds a whole database; restore it with `hypnogram restore`")
        for name in (EVENTS, KEYS):
            if name not in members:
                raise ArchiveDamaged(name, "is missing")
        self.keys = self._read_keys()
        sealed: set[FactId] = set()
        for page in _pages(self._rows()):
            read = [self._event(row) for row in page]
            self.state = fold(read, onto=self.state)
            for row, event in zip(page, read, strict=True):
                self._ids.append(str(row["event_id"]))
                follow_artifacts(self.artifacts, event)
                if row["sealed"] is not None:
                    sealed.add(FactId(str(row["fact"])))
        if set(self.keys) != sealed:
            raise ArchiveDamaged(KEYS, "does not list the facts of the events")
        wanted = {EVENTS, KEYS} | {ARTIFACTS + digest for digest in self.artifacts}
        if missing := wanted - set(members):
            raise ArchiveDamaged(min(missing), "is missing")
        if unnamed := set(members) - wanted:
            raise ArchiveDamaged(min(unnamed), "is named by no event")
        if (manifest.get("version"), manifest.get("weights")) != (self.state.version, self.state.weights):
            raise ArchiveDamaged(MANIFEST, "says another version or other weights than the events")
        check_keys(self.state, self.keys)

    def refuse_taken(self, connection: Connection, memory: MemoryId) -> None:
        """Raises MemoryTaken, EventsTaken or FactTaken where the database holds a part of this archive."""
        query = select(events.c.version).where(events.c.memory == memory).limit(1)
        if connection.execute(query).first():
            raise MemoryTaken(memory)
        for ids in _pages(self._ids):
            query = select(events.c.event_id, events.c.memory).where(events.c.event_id.in_(ids)).limit(1)
            if taken := connection.execute(query).first():
                raise EventsTaken(taken.event_id, taken.memory)
        for fact, key in self._known(connection).items():
            if key != self.keys[fact]:
                raise FactTaken(fact, "was erased" if key is None else "has another data key")

    def adopt(self, connection: Connection, memory: MemoryId) -> None:
        """Appends all events, as those of `memory`, and adds their data keys. Called in a transaction."""
        position, tail = connection.execute(select(head.c.position, head.c.hash).with_for_update()).one()
        self.refuse_taken(connection, memory)
        known = self._known(connection)
        if new := [{"fact": fact, "key": key} for fact, key in self.keys.items() if fact not in known]:
            connection.execute(insert(data_keys), new)
        for page in _pages(self._rows()):
            for row in page:
                position += 1
                row["position"], row["memory"] = position, memory
                tail = complete_row(row, tail)
            connection.execute(insert(events), page)
        connection.execute(update(head).values(position=position, hash=tail))

    def _known(self, connection: Connection) -> dict[FactId, bytes | None]:
        """Returns the facts that the database knows, with their data keys there."""
        known: dict[FactId, bytes | None] = {}
        for facts in _pages(self.keys):
            rows = connection.execute(data_keys.select().where(data_keys.c.fact.in_(facts)))
            known |= {FactId(fact): key for fact, key in rows}
        return known

    def _read_keys(self) -> Keys:
        try:
            value = json.loads(b"".join(self.unpacked.chunks(KEYS)))
            return {FactId(fact): key and base64.b64decode(key, validate=True) for fact, key in value.items()}
        except (ValueError, TypeError, AttributeError):
            raise ArchiveDamaged(KEYS, "holds no data keys") from None

    def _rows(self) -> Iterator[Columns]:
        """Yields the columns of each event, without its place in the log."""
        for number, line in enumerate(self.unpacked.lines(EVENTS), start=1):
            try:
                row = _columns(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ArchiveDamaged(
                    EVENTS, f"line {number} is not an event ({type(error).__name__}: {error})"
                ) from None
            if row["version"] != number:
                raise ArchiveDamaged(EVENTS, f"line {number} is of version {row['version']!r}")
            yield row

    def _event(self, row: Columns) -> Event:
        fact = FactId(str(row["fact"]))
        columns = {"checksums": b"", "previous_hash": "", "hash": "", **row}
        try:
            return to_recorded(StoredRow.of(columns, fact if fact in self.keys else None, self.keys.get(fact))).event
        except Damaged as error:
            raise ArchiveDamaged(EVENTS, f"line {row['version']!r}: {error}") from None


def _columns(value: Mapping[str, Any]) -> Columns:
    """Returns the columns of a line; raises ValueError, TypeError or KeyError where it is not an event."""
    sealed = value["sealed"]
    row: Columns = {name: value[name] for name in AS_THEY_ARE} | {name: value["cause"][name] for name in CAUSE}
    row |= {
        "position": 0,
        "event_id": value["id"],
        "memory": "",
        "payload": canonical(value["payload"]),
        "sealed": None if sealed is None else base64.b64decode(sealed, validate=True),
    }
    for name, column in row.items():
        number = name in ("position", "version", "schema")
        absent = column is None and name in ("fact", "sealed")
        if not (absent or name == "sealed" or type(column) is (int if number else str)):
            raise ValueError(f"{name} is {column!r}")
        if isinstance(column, str) and not storable(column):
            raise ValueError(f"{name} cannot be stored")
    return row


def _pages(rows: Iterable[Item]) -> Iterator[list[Item]]:
    """Yields `rows` in lists of `PAGE`."""
    page: list[Item] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
