"""The data keys of facts: what opens their words and their columns, as long as nobody threw it away."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, func, select

from core.errors.base import Damaged
from core.ids import FactId
from store.database.engine import reading
from store.database.schema import data_keys

PAGE = 1000  # keys read at once


class Keyring:
    """The data keys of one database, always as they are now. Safe for any thread."""

    def __init__(self, engine: Engine) -> None:
        self._reading = reading(engine)

    def key(self, fact: FactId) -> bytes | None:
        """The data key of `fact`; None once it was thrown away. Raises Damaged when there never was one."""
        return self.keys((fact,))[fact]

    def keys(self, facts: Iterable[FactId]) -> dict[FactId, bytes | None]:
        """The data keys of `facts`, as `key` returns them."""
        wanted = list(dict.fromkeys(facts))
        found: dict[FactId, bytes | None] = {}
        with self._reading.connect() as connection:
            for start in range(0, len(wanted), PAGE):
                some = data_keys.select().where(data_keys.c.fact.in_(wanted[start : start + PAGE]))
                found |= {FactId(fact): key for fact, key in connection.execute(some)}
        for fact in wanted:
            if fact not in found:
                raise Damaged(f"the data key of fact {fact} is missing; restore the database from a backup", fact=fact)
        return found

    def thrown_away(self) -> int:
        """How many keys were thrown away so far."""
        with self._reading.connect() as connection:
            query = select(func.count()).select_from(data_keys).where(data_keys.c.key.is_(None))
            count: int = connection.execute(query).scalar_one()
        return count
