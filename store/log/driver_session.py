"""The writer's own connection to the database: two exchanges for each transaction, made by the driver itself.

SQLAlchemy compiles the statements, once. It does not run them, because that would cost more than what they do, and
because PostgreSQL runs a whole pipeline of them in one exchange.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Engine, Text, any_, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement

from core.ids import Digest, EventId, FactId, MemoryId
from store.database.schema import data_keys, events, head
from store.log.hash_chain import Value
from store.log.rows import StoredRow, select_events


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the log holds when a transaction begins: its end, and the keys and rows that were asked for."""

    position: int
    tail: Digest
    keys: dict[FactId, bytes | None]
    rows: dict[EventId, StoredRow]


def open_session(engine: Engine) -> Session:
    return _SqliteSession(engine) if engine.dialect.name == "sqlite" else _PostgresqlSession(engine)


class Session(ABC):
    """One transaction at a time, each begun by `begin` and ended by `commit` or `abandon`.

    All of them raise the driver's own errors; see `as_error`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pooled = engine.raw_connection()
        self._lock_head = self._compiled(select(head.c.position, head.c.hash).with_for_update())
        self._move_head = self._compiled(update(head).values(position=bindparam("to"), hash=bindparam("tail")))
        self._version = self._compiled(select(func.max(events.c.version)).where(events.c.memory == bindparam("of")))
        self._stored = self._compiled(select_events().where(self._among(events.c.event_id)))
        self._keys = self._compiled(select(data_keys.c.fact, data_keys.c.key).where(self._among(data_keys.c.fact)))
        self._insert_events = self._compiled(insert(events))
        self._insert_keys = self._compiled(insert(data_keys))

    @abstractmethod
    def begin(self, facts: Sequence[FactId], ids: Sequence[EventId]) -> Stored:
        """Locks the end of the log; returns it with the keys of `facts` and the rows of the events `ids`."""

    @abstractmethod
    def commit(
        self, keys: Sequence[Mapping[str, Value]], rows: Sequence[Mapping[str, Value]], position: int, tail: Digest
    ) -> None:
        """Inserts `keys` and `rows` and moves the end of the log; durable on return."""

    def version(self, memory: MemoryId) -> int:
        (version,) = self._connection.execute(*self._version.with_(of=memory)).fetchone()
        return version or 0

    def abandon(self) -> None:
        self._connection.rollback()

    def renew(self) -> None:
        """Gives up the connection, whatever state it is in, for a new one."""
        if self._pooled.is_valid:
            self._pooled.invalidate()
        self._pooled = self._engine.raw_connection()

    def close(self) -> None:
        self._pooled.close()

    @property
    def lost(self) -> bool:
        """Returns whether the connection cannot be used any more."""
        return not self._pooled.is_valid

    def is_duplicate(self, error: Exception) -> bool:
        """Returns whether `error` says that a row with that key is there already."""
        return isinstance(error, self._engine.dialect.loaded_dbapi.IntegrityError)

    def as_error(self, error: Exception) -> Exception:
        """Returns an error of the driver as SQLAlchemy would raise it, any other as it is."""
        driver_error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        if not isinstance(error, driver_error):
            return error
        wrapped = DBAPIError.instance(None, None, error, driver_error, dialect=self._engine.dialect)
        return wrapped if isinstance(wrapped, Exception) else error

    @property
    def _connection(self) -> Any:
        return self._pooled.driver_connection

    def _compiled(self, clause: ClauseElement) -> _Statement:
        compiled: Any = clause.compile(dialect=self._engine.dialect)
        return _Statement(str(compiled), compiled.positiontup)

    @abstractmethod
    def _among(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """Returns the condition that `column` is in a list, which is one parameter, `values`, whatever its length."""


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    order: list[str] | None  # of the parameters; None where they go by name

    def with_(self, **parameters: Value | list[str]) -> tuple[str, Any]:
        return self.sql, self._placed(parameters)

    def with_each(self, rows: Sequence[Mapping[str, Value]]) -> tuple[str, Any]:
        return self.sql, [self._placed(row) for row in rows]

    def _placed(self, parameters: Mapping[str, Any]) -> Any:
        return parameters if self.order is None else [parameters[name] for name in self.order]


class _SqliteSession(Session):
    def begin(self, facts: Sequence[FactId], ids: Sequence[EventId]) -> Stored:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        position, tail = run(self._lock_head.sql).fetchone()
        keys = run(*self._keys.with_(values=json.dumps(facts))).fetchall() if facts else ()
        rows = run(*self._stored.with_(values=json.dumps(ids))).fetchall() if ids else ()
        return Stored(position=position, tail=Digest(tail), keys=dict(keys), rows=_by_id(rows))

    def commit(
        self, keys: Sequence[Mapping[str, Value]], rows: Sequence[Mapping[str, Value]], position: int, tail: Digest
    ) -> None:
        if keys:
            self._connection.executemany(*self._insert_keys.with_each(keys))
        self._connection.executemany(*self._insert_events.with_each(rows))
        self._connection.execute(*self._move_head.with_(to=position, tail=tail))
        self._connection.execute("COMMIT")

    def _among(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return column.in_(select(func.json_each(bindparam("values")).table_valued("value").c.value))


class _PostgresqlSession(Session):
    def begin(self, facts: Sequence[FactId], ids: Sequence[EventId]) -> Stored:
        run = self._connection.execute
        with self._connection.pipeline():
            end = run(self._lock_head.sql)
            keys = run(*self._keys.with_(values=list(facts))) if facts else None
            rows = run(*self._stored.with_(values=list(ids))) if ids else None
        position, tail = end.fetchone()
        return Stored(
            position=position,
            tail=Digest(tail),
            keys=dict(keys.fetchall()) if keys else {},
            rows=_by_id(rows.fetchall()) if rows else {},
        )

    def commit(
        self, keys: Sequence[Mapping[str, Value]], rows: Sequence[Mapping[str, Value]], position: int, tail: Digest
    ) -> None:
        with self._connection.pipeline(), self._connection.cursor() as cursor:
            if keys:
                cursor.executemany(*self._insert_keys.with_each(keys))
            cursor.executemany(*self._insert_events.with_each(rows))
            cursor.execute(*self._move_head.with_(to=position, tail=tail))
            self._connection.commit()

    @property
    def lost(self) -> bool:
        return super().lost or bool(self._connection.closed)

    def _among(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        return column == any_(bindparam("values", type_=ARRAY(Text)))


def _by_id(rows: Iterable[Sequence[Any]]) -> dict[EventId, StoredRow]:
    """Returns the rows, as the driver hands them out, by event."""
    return {EventId(row.event_id): row for row in map(StoredRow._make, rows)}
