"""Destroys a data key, so that nothing is left of it in the files of the database.

SQLite: rows are overwritten in place and freed space is wiped (`secure_delete`), the write-ahead log is emptied, and
all pages are searched for the key; a copy that an older version left is removed by a VACUUM. Blocks that the disk has
freed meanwhile, and backups, are out of reach. SQLite itself reads those pages, because a process that closes a
descriptor of its own on the file, -wal or -shm drops its locks on them, and the next process then deletes the -wal that
this one goes on writing to (sqlite.org/howtocorrupt.html, 2.2).

PostgreSQL: the table of keys is rewritten (VACUUM FULL), which leaves out the old row unless a transaction that began
before still sees it. The key stays in write-ahead log segments until they are recycled, in their archive, on replicas
that lag, and in backups; let these expire, or destroy the keys that they are encrypted with.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import OperationalError

from core.errors.base import NotReady
from core.ids import FactId
from store.database.engine import reading
from store.database.schema import data_keys, head

BEING_READ = "its database is being read all the time, so that a key cannot be wiped from it; try again"
LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock_timeout that ran out
PAGE = 1000  # keys destroyed by one statement
WAIT_MILLISECONDS = 200  # for readers, while no other process can write
SEARCHED_BYTES = 1 << 28  # searched in memory for keys; where it would be more, the database is rewritten at once


def throw_key_away(engine: Engine, fact: FactId, check: Callable[[], None] = lambda: None) -> None:
    """Destroys the data key of `fact`; see `throw_keys_away`."""
    throw_keys_away(engine, (fact,), check)


def throw_keys_away(engine: Engine, facts: Sequence[FactId], check: Callable[[], None] = lambda: None) -> None:
    """Destroys the data keys of `facts`, durably. Called again, it completes what was interrupted.

    Args:
        check: called while no process can append; where it raises, the keys stay.

    Raises:
        NotReady: another process reads the database, so that keys are still in its files; try again.
    """
    keys: list[bytes | None] = []
    with engine.begin() as connection:
        connection.execute(update(head).values(position=head.c.position))  # appends wait for this row
        check()
        for start in range(0, len(facts), PAGE):
            chosen = data_keys.c.fact.in_(facts[start : start + PAGE])
            keys += connection.execute(select(data_keys.c.key).where(chosen)).scalars()
            connection.execute(update(data_keys).where(chosen).values(key=None))
    if facts:
        _wipe(engine, keys)


def _wipe(engine: Engine, keys: Sequence[bytes | None]) -> None:
    """Overwrites what is left of `keys` in the files. Raises NotReady.

    None stands for a key that an earlier attempt destroyed, so that its bytes are not known any more.
    """
    try:
        if engine.dialect.name == "sqlite":
            _wipe_sqlite(engine, keys)
        else:
            _wipe_postgresql(engine)
    except OperationalError as error:
        if not _is_locked(error):
            raise
        raise NotReady(BEING_READ) from error


def _is_locked(error: OperationalError) -> bool:
    """Returns whether another process held the database for longer than this one waits."""
    busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY  # the other bits say how
    return busy or getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def _wipe_postgresql(engine: Engine) -> None:
    with reading(engine).connect() as connection:
        # short, because readers that come later wait behind this
        connection.execute(text(f"SET lock_timeout = {WAIT_MILLISECONDS}"))
        try:
            connection.execute(text("VACUUM FULL data_keys"))
        finally:
            connection.execute(text("RESET lock_timeout"))


def _wipe_sqlite(engine: Engine, keys: Sequence[bytes | None]) -> None:
    with reading(engine).connect() as connection:
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {WAIT_MILLISECONDS}")
        try:
            _empty_wal(connection)
            if _may_hold(connection, keys):
                connection.exec_driver_sql("VACUUM")
            _empty_wal(connection)  # also of what others wrote while pages were searched
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")


def _empty_wal(connection: Connection) -> None:
    """Moves the write-ahead log into the file and leaves it empty; waits for readers."""
    busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise NotReady(BEING_READ)


def _may_hold(connection: Connection, keys: Sequence[bytes | None]) -> bool:
    """Returns whether one of `keys` may be in a page of the database, used or free.

    True without a search where that would take long, or where a key is not known any more.
    """
    pages, size = (connection.exec_driver_sql(f"PRAGMA page_{what}").scalar_one() for what in ("count", "size"))
    known = [key for key in keys if key is not None]
    if len(known) < len(keys) or len(known) * pages * size > SEARCHED_BYTES:
        return True
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    content = driver.serialize()
    return any(key in content for key in known)
