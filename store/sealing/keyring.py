"""The data keys of facts and conversations, which open words and columns until these are erased."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine, func, select

from core.errors.base import Damaged
from core.ids import FactId
from store.database.engine import reading
from store.database.schema import data_keys

PAGE = 1000  # keys read at once


class Keyring:
    """The data keys of one database, read anew with each call. Safe for any thread."""

    def __init__(self, engine: Engine) -> None:
        self._reading = reading(engine)

    def key(self, fact: FactId) -> bytes | None:
        """Returns the data key of `fact`; None once it was destroyed. Raises Damaged where there never was a key."""
        return self.keys((fact,))[fact]

    def keys(self, facts: Iterable[FactId]) -> dict[FactId, bytes | None]:
        """Returns the data keys of `facts`, each as `key` does."""
        wanted = list(dict.fromkeys(facts))
        known: dict[FactId, bytes | None] = {}
        with self._reading.connect() as connection:
            for start in range(0, len(wanted), PAGE):
                query = data_keys.select().where(data_keys.c.fact.in_(wanted[start : start + PAGE]))
                known |= {FactId(fact): key for fact, key in connection.execute(query)}
        for fact in wanted:
            if fact not in known:
                raise Damaged(f"the data key of fact {fact} is missing; restore the database from a backup", fact=fact)
        return known

    def thrown_away(self) -> int:
        """Returns how many keys were destroyed so far."""
        with self._reading.connect() as connection:
            query = select(func.count()).select_from(data_keys).where(data_keys.c.key.is_(None))
            count: int = connection.execute(query).scalar_one()
        return count
