"""Notes outside the database where its log ends, so that the loss of its last events is noticed.

    anchors/LOG/POSITION        holds the hash of the event at that position

The chain of hashes proves all of a log but its end, because a log that was cut short is intact. So every process that
appends to a log notes its end beside the artifacts, once a second while events come and once more when it closes the
log. A note is a new file named by its position; the highest counts, and lower ones are removed, so that no process
undoes or waits for the note of another. A note follows the commit, so that it never names an event that is not durable.

LOG is drawn when a database is made (`head.log`), so that another database beside the same artifacts has notes of its
own. A database that was restored, or whose loss was accepted, is another log from then on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from core.errors.base import Damaged, LogCutShort
from core.ids import Digest
from store.artifacts import sync_folder, write_atomically
from store.clock import next_uuid
from store.database.engine import reading
from store.database.schema import events, head

FOLDER = "anchors"  # beside the artifacts
SECONDS = 0.8  # between notes while events are appended

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where the log `log` ends: `hash` is that of the event at `position`."""

    log: str
    position: int
    hash: Digest


class Anchor:
    """Keeps the notes about one open database, by a thread of its own, from `start` to `close`."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._reading = reading(engine)
        self._folder = folder
        self._news = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._keep, name="anchor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def moved(self) -> None:
        """Reports that the log has grown. Called after each commit."""
        if not self._news.is_set():
            self._news.set()

    def close(self) -> None:
        """Notes the end for the last time, where `start` was called."""
        if self._thread.ident is not None:
            self._closing.set()
            self._news.set()
            self._thread.join()
            self._try_to_note()

    def newest(self) -> End | None:
        """Returns the last end that was noted of this log. Raises Damaged where a note cannot be read."""
        with self._reading.connect() as connection:
            log = _end(connection).log
        try:
            while positions := self._positions(log):
                try:
                    hash_ = (self._folder / log / str(positions[-1])).read_text("ascii")
                    return End(log=log, position=positions[-1], hash=Digest(hash_))
                except FileNotFoundError:  # another process noted a later end meanwhile
                    continue
        except (OSError, UnicodeDecodeError) as error:
            raise Damaged(
                f"the notes of where the log ended cannot be read ({error}); check the folder {self._folder}"
            ) from error
        return None

    def note(self) -> None:
        """Notes where the log ends now, durably, unless that was noted before."""
        with self._reading.connect() as connection:
            end = _end(connection)
        folder, positions = self._folder / end.log, self._positions(end.log)
        if end.position <= max(positions, default=0):
            return
        for missing in (self._folder, folder):  # not their parents, so that an unmounted artifact folder stays missing
            missing.mkdir(mode=0o700, exist_ok=True)
        write_atomically(folder / str(end.position), end.hash.encode("ascii"))
        sync_folder(folder)
        for lower in positions:
            (folder / str(lower)).unlink(missing_ok=True)

    def _positions(self, log: str) -> list[int]:
        try:
            return sorted(int(path.name) for path in (self._folder / log).iterdir() if path.name.isdecimal())
        except FileNotFoundError:
            return []

    def _keep(self) -> None:
        while True:
            self._news.wait()
            if self._closing.is_set():
                return
            self._news.clear()
            if not self._try_to_note():
                self._news.set()
            self._closing.wait(SECONDS)

    def _try_to_note(self) -> bool:
        """Notes the end, and returns whether it could. Appends do not wait for it: a later attempt follows."""
        try:
            self.note()
        except (OSError, SQLAlchemyError) as error:
            if not self._failing:  # logged once, not with every attempt
                logger.warning("anchor.failed", folder=str(self._folder), error=type(error).__name__)
            self._failing = True
            return False
        self._failing = False
        return True


def cut_short(connection: Connection, noted: End | None) -> LogCutShort | None:
    """Returns what the log has lost since `noted` was written, None for nothing. Read `noted` before the call."""
    if noted is None:
        return None
    end = _end(connection).position
    query = select(events.c.hash).where(events.c.position == noted.position)
    if end >= noted.position and connection.execute(query).scalar() == noted.hash:
        return None
    return LogCutShort(end, noted.position)


def begin_anew(engine: Engine) -> None:
    """Draws a new name for the log, under which it has no notes yet: it ends where it is meant to end."""
    with engine.begin() as connection:
        connection.execute(update(head).values(log=next_uuid()))


def _end(connection: Connection) -> End:
    row = connection.execute(select(head.c.log, head.c.position, head.c.hash)).one()
    return End(log=row.log, position=row.position, hash=Digest(row.hash))
