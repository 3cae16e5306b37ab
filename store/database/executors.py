"""Which executors are alive, in whatever process, and what they do or wait for.

Ages are measured by the clock of the database alone, so that machines need not agree on the time. After a clock jumps,
an executor may look dead or alive for at most `LIVE_SECONDS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, RowMapping, text

from core.ids import MemoryId
from store.database.engine import reading

BEAT_SECONDS = 2.0  # between two signs of life
LIVE_SECONDS = 10.0  # after the last one; then an executor counts as dead
FORGOTTEN_SECONDS = 3600.0  # after which its row is removed

CLOCK = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "(extract(epoch FROM clock_timestamp())::double precision)",
}  # Unix time, by dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A piece of work that an executor does, or has put off.

    Attributes:
        seconds: since it was begun or put off.
        reason, message: why it was put off; empty while it is being done.
    """

    work: str
    attempt: int = 1
    seconds: float = 0.0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What executors do for a memory.

    Attributes:
        alive: whether there is an executor.
        duty: what it does for the memory or has put off; None where it owes nothing.
        elsewhere: another memory that an executor works for meanwhile.
    """

    alive: bool
    duty: Duty | None
    elsewhere: MemoryId | None


class Executors:
    """The executors of one database; see `EventLog.engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._clock = CLOCK[engine.dialect.name]
        self._alive = f"executors.seen BETWEEN {self._clock} - {LIVE_SECONDS} AND {self._clock} + {LIVE_SECONDS}"

    def beat(self, owner: str) -> None:
        """Records a sign of life of the executor `owner`."""
        forgotten = f"abs(seen - {self._clock}) > {FORGOTTEN_SECONDS}"
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    f"INSERT INTO executors (owner, seen) VALUES (:owner, {self._clock}) "
                    "ON CONFLICT (owner) DO UPDATE SET seen = excluded.seen"
                ),
                {"owner": owner},
            )
            connection.execute(text(f"DELETE FROM executors WHERE {forgotten}"))

    def leave(self, owner: str) -> None:
        """Records that the executor `owner` has ended."""
        with self._engine.begin() as connection:
            connection.execute(text("DELETE FROM executors WHERE owner = :owner"), {"owner": owner})

    def any_alive(self) -> bool:
        """Returns whether an executor has given a sign of life in the last `LIVE_SECONDS`."""
        with reading(self._engine).connect() as connection:
            return connection.execute(text(f"SELECT 1 FROM executors WHERE {self._alive} LIMIT 1")).first() is not None

    def at(self, memory: MemoryId) -> Execution:
        """Returns what they do for `memory` now; nothing of an executor that has died."""
        query = text(
            f"SELECT memory, work, attempt, {self._clock} - since AS seconds, reason, message FROM leases "
            f"JOIN executors ON executors.owner = leases.owner WHERE {self._alive} AND work IS NOT NULL "
            "AND (memory = :memory OR reason IS NULL) ORDER BY memory <> :memory, since LIMIT 2"
        )
        with reading(self._engine).connect() as connection:
            rows = connection.execute(query, {"memory": memory}).mappings().all()
        duties = [_duty(row) for row in rows if row["memory"] == memory]
        elsewhere = [MemoryId(row["memory"]) for row in rows if row["memory"] != memory]
        return Execution(
            alive=bool(rows) or self.any_alive(),
            duty=duties[0] if duties else None,
            elsewhere=elsewhere[0] if elsewhere else None,
        )


def _duty(row: RowMapping) -> Duty:
    return Duty(
        work=row["work"],
        attempt=row["attempt"],
        seconds=max(row["seconds"], 0.0),
        reason=row["reason"] or "",
        message=row["message"] or "",
    )
