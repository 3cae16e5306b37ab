"""Throwing a data key away, so that nothing is left of it where the database keeps its rows.

SQLite: rows are overwritten in place and what moves is wiped (`secure_delete`), the write-ahead log is emptied, and the
file is searched for the key; a copy that an older version left behind goes with a VACUUM. Nothing is left in the files;
what blocks of a disk were given up meanwhile, and what backups hold, is beyond this.

PostgreSQL: the table of keys is rewritten (VACUUM FULL), which leaves out the old row unless a transaction that began
before still sees it. The key stays in write-ahead log segments until they are recycled, in their archive, on replicas
that lag, and in backups: let them expire, or erase by the keys of the backup.
"""

from __future__ import annotations

import mmap
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import OperationalError

from core.errors import NotReady
from core.ids import FactId
from store.database import reading
from store.schema import data_keys, head

BEING_READ = "its database is being read all the time, so that a key cannot be wiped from it; try again"
LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock_timeout that ran out
WAIT_MILLISECONDS = 200  # for readers, while nobody else can write


def throw_key_away(engine: Engine, fact: FactId, check: Callable[[], None] = lambda: None) -> None:
    """Destroys the data key of `fact`, durably. Again, it completes what was cut short.

    Args:
        check: called while nobody can append; what it raises keeps the key.

    Raises:
        NotReady: somebody reads the database, so that the key is still in its files; try again.
    """
    with engine.begin() as connection:
        connection.execute(update(head).values(position=head.c.position))  # appends wait for this row
        check()
        key: bytes | None = connection.execute(select(data_keys.c.key).where(data_keys.c.fact == fact)).scalar()
        connection.execute(update(data_keys).where(data_keys.c.fact == fact).values(key=None))
    try:
        if engine.dialect.name == "sqlite":
            _wipe_sqlite(engine, key)
        else:
            _wipe_postgresql(engine)
    except OperationalError as error:
        if not _is_locked(error):
            raise
        raise NotReady(BEING_READ) from error


def _is_locked(error: OperationalError) -> bool:
    """Whether others held the database for longer than we wait."""
    busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY  # the rest of the code says how
    return busy or getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def _wipe_postgresql(engine: Engine) -> None:
    with reading(engine).connect() as connection:
        connection.execute(text(f"SET lock_timeout = {WAIT_MILLISECONDS}"))  # whoever asks later waits behind us
        try:
            connection.execute(text("VACUUM FULL data_keys"))
        finally:
            connection.execute(text("RESET lock_timeout"))


def _wipe_sqlite(engine: Engine, key: bytes | None) -> None:
    assert engine.url.database is not None
    file = Path(engine.url.database)
    with reading(engine).connect() as connection:
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {WAIT_MILLISECONDS}")
        try:
            _empty_wal(connection.connection.driver_connection)
            if key is None or _holds(file, key):  # None: another attempt, perhaps one that was killed, threw it away
                connection.exec_driver_sql("VACUUM")
                _empty_wal(connection.connection.driver_connection)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")


def _empty_wal(connection: object) -> None:
    """Moves the write-ahead log into the file and leaves it empty; waits for readers."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # type: ignore[attr-defined]
    if busy:
        raise NotReady(BEING_READ)


def _holds(file: Path, key: bytes) -> bool:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(key) >= 0
