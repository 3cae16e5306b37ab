"""Opens a database: the engine, its durability, and the migration to this version's schema."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
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
    """Returns an engine for `url`, durable at every commit. A SQLite file that it creates only its owner may read."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidField("db", f"{url!r} is not a database URL; {_EXAMPLES}") from None
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
        return create_engine(
            parsed, pool_size=8, max_overflow=-1, hide_parameters=True
        )  # because parameters may be data keys
    raise InvalidField("db", f"{parsed.drivername!r} is not a supported database; {_EXAMPLES}")


_EXAMPLES = "use sqlite:///path/to/hypnogram.db or postgresql+psycopg://user@host/database"


def create_private(file: Path) -> None:
    """Creates an empty `file` and its folder, readable by their owner only; does nothing where the file exists.

    SQLite gives -wal and -shm the mode of the file. A file that exists is not opened, because that would drop the locks
    that SQLite holds on it.

    Raises:
        InvalidField: it cannot be created.
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
        raise InvalidField(
            "db", f"{str(file)!r} cannot be created ({error.strerror}); name another with --db"
        ) from None


def migrate(engine: Engine) -> None:
    """Migrates the database to the schema of this version; several processes may do so at once.

    Raises:
        SchemaMismatch: the database was written by a newer version, or by another program.
        InvalidField: the database cannot be reached.
    """
    try:
        _migrate(engine)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = str(getattr(error, "orig", error)).strip()
        if "not a database" in reason:
            raise SchemaMismatch(f"{engine.url.database} is not a database; point hypnogram to another file") from error
        if isinstance(error, (OperationalError, sqlite3.OperationalError)):
            raise InvalidField("db", f"cannot be opened ({reason}); check that it exists and may be written") from error
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
        revision = _revision(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision is not None and revision not in known:
            raise SchemaMismatch(
                f"the database is at schema {revision!r}, which this version does not know (its newest is {newest!r}): "
                "it was written by a newer hypnogram; upgrade hypnogram, or point it to another database",
                found=revision,
                newest=newest,
            )
        if revision is None and (foreign := set(inspect(connection).get_table_names()) & set(metadata.tables)):
            raise SchemaMismatch(
                f"the database holds tables of another program ({', '.join(sorted(foreign))}); point hypnogram to an "
                "empty database",
                tables=sorted(foreign),
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if engine.dialect.name == "sqlite":  # so that the file alone names its log, should its -wal get lost
        with reading(engine).connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()


def reading(engine: Engine) -> Engine:
    """Returns the engine for single SELECTs, each of which is its own transaction and takes no lock."""
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
    """Gives up a connection whose file could not be opened for writing, so that the next one opens it anew.

    SQLite opens a file that it cannot write for reading only, and goes on so after the cause has passed.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF  # the other bits say how
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        context.is_disconnect = True
        if context.execution_context is not None:
            context.execution_context.cursor.close()  # which SQLAlchemy leaves open, and its transaction with it


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins transactions instead
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA secure_delete = ON")  # overwrites what is deleted or moved
            cursor.execute("PRAGMA recursive_triggers = ON")  # because INSERT OR REPLACE would delete without a trigger
    except sqlite3.Error:
        connection.close()  # the pool does not, and a key cannot be wiped while it keeps the file from being emptied
        raise


def _begin_sqlite(connection: Connection) -> None:
    """Takes the write lock first, so that what a transaction reads is still true when it writes."""
    if not connection.get_execution_options().get(_READ_ONLY):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
