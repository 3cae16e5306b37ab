"""Opening a database: the engine, its durability, and the migration to this version's schema."""

from __future__ import annotations

import os
import sqlite3
from importlib.resources import files
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

import migrations
from core.errors.base import InvalidField, SchemaMismatch
from store.database.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_SECONDS = 60  # how long a SQLite writer waits for another process
_READ_ONLY = "hypnogram_read_only"
_MIGRATION_LOCK = 0x68_79_70_6E  # of PostgreSQL's advisory locks: "hypn"


def connect(url: str) -> Engine:
    """An engine for `url`, durable at every commit. Of SQLite's files only their owner may read those made here."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidField("db", f"{url!r} is no database URL; {_EXAMPLES}") from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise InvalidField("db", f"a log outlives its process and needs a file; {_EXAMPLES}")
        create_private(Path(parsed.database))
        engine = create_engine(
            parsed, connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=-1, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "handle_error", _give_up_sqlite)
        return engine
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(parsed, pool_size=8, max_overflow=-1, hide_parameters=True)  # they may be data keys
    raise InvalidField("db", f"{parsed.drivername!r} is no supported database; {_EXAMPLES}")


_EXAMPLES = "use sqlite:///path/to/hypnogram.db or postgresql+psycopg://user@host/database"


def create_private(file: Path) -> None:
    """Makes an empty `file` that only its owner may read, whatever the umask, unless it is there; and its folder.

    SQLite gives -wal and -shm the mode of the file. One that is there is not opened: that would drop SQLite's locks.

    Raises:
        InvalidField: it cannot be made.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(file):
            return
        descriptor, made = mkstemp(dir=file.parent, prefix=".tmp-")
        os.close(descriptor)
        try:
            os.link(made, file)  # another process may be faster
        except FileExistsError:
            pass
        finally:
            os.unlink(made)
    except OSError as error:
        raise InvalidField("db", f"{str(file)!r} cannot be made ({error.strerror}); name another with --db") from None


def migrate(engine: Engine) -> None:
    """Brings the schema to this version's; several processes may do so at once.

    Raises:
        SchemaMismatch: the database was written by a newer version, or is not one of ours.
        InvalidField: the database cannot be reached.
    """
    try:
        _migrate(engine)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = str(getattr(error, "orig", error)).strip()
        if "not a database" in reason:
            raise SchemaMismatch(f"{engine.url.database} is no database; point hypnogram to another file") from error
        if isinstance(error, (OperationalError, sqlite3.OperationalError)):
            raise InvalidField("db", f"cannot be opened ({reason}); see that it is there and may be written") from error
        raise


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with reading(engine).connect() as connection:
        if _revision(connection) == newest:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        found = _revision(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise SchemaMismatch(
                f"the database is at schema {found!r}, which this version does not know (its newest is {newest!r}): "
                "it was written by a newer hypnogram; upgrade hypnogram, or point it to another database",
                found=found,
                newest=newest,
            )
        if found is None and (foreign := set(inspect(connection).get_table_names()) & set(metadata.tables)):
            raise SchemaMismatch(
                f"the database holds tables of other origin ({', '.join(sorted(foreign))}); point hypnogram to an "
                "empty database",
                tables=sorted(foreign),
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if engine.dialect.name == "sqlite":  # so that the file alone, should its -wal get lost, tells which log it was
        with reading(engine).connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()


def reading(engine: Engine) -> Engine:
    """The same engine for single SELECTs: each its own transaction, no lock taken."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_READ_ONLY: True})
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def alembic_config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files(migrations)).replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _give_up_sqlite(context: ExceptionContext) -> None:
    """Lets go of connections to files that could not be opened as they should be, for new ones.

    SQLite opens a file that it cannot write for reading alone, and stays with that though the cause has passed.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF  # the rest of it says how
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        context.is_disconnect = True


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")  # what is overwritten or moved leaves nothing behind in its place
    cursor.execute("PRAGMA recursive_triggers = ON")  # or INSERT OR REPLACE would delete unseen
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Takes the write lock first thing, so that what a transaction reads is still true when it writes."""
    if not connection.get_execution_options().get(_READ_ONLY):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
