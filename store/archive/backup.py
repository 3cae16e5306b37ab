"""Backs up a database with its artifacts as one file, while other processes write, and restores it elsewhere.

    manifest.json       where the log ends; name, size and SHA-256 of every other member
    hypnogram.db        the database as it was at one moment, by SQLite's online backup
    artifacts/DIGEST    every artifact that its events need, once

A backup holds the data keys, so that it is as private as the database; a fact that is erased later stays in it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, delete, make_url, select
from sqlalchemy.exc import ArgumentError

from core.errors.archive import ArchiveDamaged, ExportExists
from core.errors.base import Damaged, InvalidField, NotReady
from core.ids import Digest
from store.archive.exporting import ARTIFACTS, new_file
from store.archive.tar import BACKUP, CHUNK, Member, Unpacked, pack, unpack
from store.artifacts import Artifacts, Storage, sync_folder
from store.database.engine import create_private, reading
from store.database.schema import executors, head, leases
from store.log.anchor import FOLDER, Anchor, begin_anew
from store.log.event_log import EventLog
from store.log.purging import removed_meanwhile
from store.log.verify import follow_artifacts, verify_log

DATABASE = "hypnogram.db"
POSTGRESQL = (
    "PostgreSQL is backed up by its own tools: first the database with pg_dump, then the artifact folder; to restore, "
    "put back the artifacts, then the database, and run `hypnogram verify --accept-loss`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What a backup holds: numbers of events and artifacts, and the size of the file in bytes."""

    events: int
    artifacts: int
    size: int


def make_backup(path: Path, log: EventLog, artifacts: Artifacts) -> BackedUp:
    """Writes the database as it is now, and its artifacts, into the new file `path`, which only its owner may read.

    It holds every event that was acknowledged before the call; other processes may append meanwhile. It appears whole
    or not at all, and its content was verified.

    Raises:
        InvalidField: the database is not SQLite's.
        ExportExists: `path` is there already.
        NotReady: a memory was deleted meanwhile; make the backup again.
        Damaged: what is stored is not what was written.
    """
    if log.engine.dialect.name != "sqlite":
        raise InvalidField("db", POSTGRESQL)
    if os.path.lexists(path):
        raise ExportExists(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        database = Path(folder) / DATABASE
        _copy(log.engine, database)
        with EventLog.open(_url(log.engine, database)) as copied:
            if fault := verify_log(copied, artifacts).fault:
                if fault.what == "artifact" and removed_meanwhile(log, copied.position()):
                    raise NotReady("a memory was deleted while it was backed up; make the backup again")
                raise Damaged(fault.message, position=fault.position, what=fault.what)
            going = removed_meanwhile(copied, copied.position())
            needed = [digest for digest in _needed(copied) if digest not in going]
            with reading(copied.engine).connect() as connection:
                end = connection.execute(select(head.c.position, head.c.hash)).one()
        listed = [_member(DATABASE, database)]
        listed += [Member(name=ARTIFACTS + digest, sha256=digest, size=len(artifacts.get(digest))) for digest in needed]
        contents = chain((_content(database),), ((artifacts.get(digest),) for digest in needed))
        with new_file(path) as file:
            pack(file, {"kind": BACKUP, "position": end.position, "hash": end.hash}, listed, contents)
            return BackedUp(events=end.position, artifacts=len(needed), size=file.tell())


def restore_backup(path: Path, url: str, artifact_folder: Path, storage: Storage | None = None) -> BackedUp:
    """Creates the database `url` and the artifacts that it needs from the backup `path`.

    Artifacts go to `storage` where it is given, else to the folder.

    Every byte is verified first. The database appears last, and whole; artifacts without it do no harm. It is another
    log than the one that was backed up (`store/log/anchor.py`).

    Raises:
        InvalidField: there is no such backup, or the database exists already or is not SQLite's.
        ArchiveTooNew, SchemaMismatch: it was made by a later version.
        ArchiveDamaged: it was altered or cut short; names the member.
    """
    database = _free(url)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidField("file", f"{str(path)!r} cannot be read: {error.strerror}; name a backup") from None
    with file:
        unpacked = unpack(file, path)
        if unpacked.manifest.get("kind") != BACKUP:
            raise InvalidField("file", f"{str(path)!r} holds one memory; import it with `hypnogram import`")
        digests = _artifacts_of(unpacked.members)
        artifacts = Artifacts(artifact_folder, storage)
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=database.parent, prefix=f".{database.name}-") as folder:
            made = Path(folder) / DATABASE
            create_private(made)
            with made.open("r+b") as target:
                target.writelines(unpacked.chunks(DATABASE))
            events = _prepared(made, unpacked, digests, artifacts)
            _put_in_place(made, database)
        return BackedUp(events=events, artifacts=len(digests), size=file.seek(0, 2))


def _prepared(made: Path, unpacked: Unpacked, digests: list[Digest], artifacts: Artifacts) -> int:
    """Migrates `made`, writes its artifacts and verifies its log; returns the number of its events."""
    with EventLog.open(f"sqlite:///{made}") as log:
        for digest in digests:
            artifacts.put(b"".join(unpacked.chunks(ARTIFACTS + digest)))
        report = verify_log(log, artifacts)
        if report.fault:
            raise ArchiveDamaged(DATABASE, report.fault.message)
        begin_anew(log.engine)
        with log.engine.begin() as connection:
            for held in (leases, executors):  # by processes that ran then
                connection.execute(delete(held))
        Anchor(log.engine, artifacts.folder / FOLDER).note()
        return report.events


def _free(url: str) -> Path:
    """Returns the file of the database `url`. Raises InvalidField where it exists already."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidField("db", f"{url!r} is not a database URL; use sqlite:///path/to/hypnogram.db") from None
    if not parsed.drivername.startswith("sqlite") or not parsed.database:
        raise InvalidField("db", POSTGRESQL)
    database = Path(parsed.database)
    for taken in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
        if os.path.lexists(taken):
            raise InvalidField("db", _taken(taken))
    return database


def _taken(path: Path) -> str:
    return f"{str(path)!r} exists already, and a restore replaces nothing; move it away, or name another with --db"


def _put_in_place(made: Path, database: Path) -> None:
    with made.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(made, database)
    except FileExistsError:
        raise InvalidField("db", _taken(database)) from None
    sync_folder(database.parent)


def _copy(engine: Engine, database: Path) -> None:
    with reading(engine).connect() as connection, closing(sqlite3.connect(database)) as copy:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        source.backup(copy)  # in one step, so that appends meanwhile neither enter it nor restart it


def _url(engine: Engine, database: Path) -> str:
    return engine.url.set(database=str(database)).render_as_string(hide_password=False)


def _needed(log: EventLog) -> list[Digest]:
    needed: set[Digest] = set()
    for recorded in log.iterate():
        follow_artifacts(needed, recorded.event)
    return sorted(needed)


def _artifacts_of(members: Mapping[str, Member]) -> list[Digest]:
    if DATABASE not in members:
        raise ArchiveDamaged(DATABASE, "is missing")
    digests = []
    for name, member in members.items():
        if name != DATABASE:
            if name != ARTIFACTS + member.sha256:
                raise ArchiveDamaged(name, "does not belong in a backup")
            digests.append(Digest(member.sha256))
    return digests


def _member(name: str, path: Path) -> Member:
    with path.open("rb") as file:
        return Member(name=name, sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=path.stat().st_size)


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
