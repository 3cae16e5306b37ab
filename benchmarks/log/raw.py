"""Writes the rows of the log through the database driver alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import MetaData, make_url, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from store.database.schema import events
from store.log.event_log import EventLog

RAW = events.to_metadata(MetaData(), name="raw_events")
Row = dict[str, Any]


class Raw:
    """A table with the columns and indexes of the log's, and no other code around it."""

    def __init__(self) -> None:
        self._position = count(1)

    def append_one_by_one(self, rows: Sequence[Row]) -> float:
        """Seconds for one commit per row."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def rows_like(self, log: EventLog, number: int) -> list[Row]:
        """Copies of the newest `number` rows of the log, with positions of this table."""
        with log.engine.connect() as connection:
            newest = connection.execute(select(events).order_by(events.c.position.desc()).limit(number)).mappings()
            return [{**row, "position": next(self._position)} for row in newest]


class RawSqlite(Raw):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(str(CreateTable(RAW).compile(dialect=sqlite.dialect())))

    def append_one_by_one(self, rows: Sequence[Row]) -> float:
        sql = f"INSERT INTO raw_events VALUES ({', '.join('?' * len(RAW.c))})"
        values = [tuple(row.values()) for row in rows]
        begin = time.perf_counter()
        for value in values:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(sql, value)
            self._connection.execute("COMMIT")
        return time.perf_counter() - begin

    def close(self) -> None:
        self._connection.close()


class RawPostgresql(Raw):
    def __init__(self, url: str) -> None:
        super().__init__()
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection = psycopg.connect(plain)
        self._connection.execute(b"CREATE TABLE raw_events (LIKE events INCLUDING INDEXES)")
        self._connection.commit()

    def append_one_by_one(self, rows: Sequence[Row]) -> float:
        sql = f"INSERT INTO raw_events VALUES ({', '.join(['%s'] * len(RAW.c))})".encode()
        values = [tuple(row.values()) for row in rows]
        begin = time.perf_counter()
        for value in values:
            self._connection.execute(sql, value)
            self._connection.commit()
        return time.perf_counter() - begin

    def close(self) -> None:
        self._connection.close()
