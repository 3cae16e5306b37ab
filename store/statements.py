"""What the writer says to the database, compiled once: building SQL anew would cost more than running it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Text,
    any_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.expression import ClauseElement

from store.rows import select_events
from store.schema import data_keys, events, head


class Statements:
    """The statements of one dialect. Rows come back as the driver has them: take values by place."""

    def __init__(self, dialect: Dialect) -> None:
        self._lists_as_json = dialect.name == "sqlite"
        event_ids, facts = self._among(events.c.event_id), self._among(data_keys.c.fact)
        self.lock_head = Statement(dialect, select(head.c.position, head.c.hash).with_for_update())
        self.move_head = Statement(dialect, update(head).values(position=bindparam("to"), hash=bindparam("tail")))
        self.version = Statement(dialect, select(func.max(events.c.version)).where(events.c.memory == bindparam("of")))
        self.events_by_id = Statement(dialect, select_events().where(event_ids))
        self.keys = Statement(dialect, select(data_keys.c.fact, data_keys.c.key).where(facts))
        self.insert_events = Statement(dialect, insert(events))
        self.insert_keys = Statement(dialect, insert(data_keys))

    def several(self, values: Sequence[str]) -> Mapping[str, Any]:
        """The parameter of a statement that looks for any of `values`."""
        return {"some": json.dumps(values) if self._lists_as_json else list(values)}

    def _among(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """`column` is one of a list that travels as one parameter, so that the SQL is the same for any length."""
        if self._lists_as_json:
            return column.in_(select(func.json_each(bindparam("some")).table_valued("value").c.value))
        return column == any_(bindparam("some", type_=ARRAY(Text)))


class Statement:
    def __init__(self, dialect: Dialect, clause: ClauseElement) -> None:
        compiled: Any = clause.compile(dialect=dialect)
        self._sql = str(compiled)
        self._order: list[str] | None = compiled.positiontup  # None: parameters go by name

    def run(self, connection: Connection, *parameters: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
        """Once for each of `parameters`."""
        if self._order is None:
            return connection.exec_driver_sql(self._sql, [dict(one) for one in parameters] or None)
        return connection.exec_driver_sql(
            self._sql, [tuple([one[name] for name in self._order]) for one in parameters] or None
        )
