"""Leases: which executor works on a memory now, so that two do not do the same work twice.

A lease is an optimisation, not a lock: an executor that works on after it lost its lease does no harm, because its
append expects a version that the memory has left. A lease ends by the wall clock of the executor that looks at it, or
once that executor has seen it unchanged for its seconds by the monotonic clock, so that a wall clock which jumps does
not hold up a memory for longer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine, text

from core.ids import MemoryId
from store.database.engine import reading
from store.database.executors import CLOCK, Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claim on a memory. `fence` grows with every claim, so that the later of two claims is known."""

    memory: MemoryId
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class _Sighting:
    """The lease of another executor as it was at `monotonic`, in seconds of that clock, and has been since."""

    fence: int
    expires: float
    seconds: float
    monotonic: float


class Leases:
    """The leases of one database, as one executor sees them; see `EventLog.engine`.

    `renew` may be called from any thread, the others from one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._others: dict[MemoryId, _Sighting] = {}
        now = CLOCK[engine.dialect.name]
        self._claim = text(_CLAIM.format(now=now))
        self._release = text(_RELEASE.format(now=now))

    def claim(self, memory: MemoryId, owner: str, seconds: float, duty: Duty | None = None) -> Lease | None:
        """Claims `memory` for `seconds`; returns None while another owner holds a lease.

        Args:
            duty: the work that it is claimed for.
        """
        now, outlived = time.time(), self._outlived(memory)
        parameters = {
            "memory": memory, "owner": owner, "now": now, "expires": now + seconds, "seconds": seconds,
            "work": duty.work if duty else None, "attempt": duty.attempt if duty else None,
            "outlived": outlived.fence if outlived else -1, "unchanged": outlived.expires if outlived else 0.0,
        }  # fmt: skip
        with self._engine.begin() as connection:
            fence = connection.execute(self._claim, parameters).scalar()
        if fence is None:
            self._look(memory, seconds)
            return None
        self._others.pop(memory, None)
        return Lease(memory=memory, owner=owner, fence=fence)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Extends `lease` to `seconds` from now; returns False where another owner has claimed the memory since."""
        parameters = {"memory": lease.memory, "owner": lease.owner, "fence": lease.fence}
        with self._engine.begin() as connection:
            return connection.execute(_RENEW, {**parameters, "expires": time.time() + seconds}).rowcount == 1

    def release(self, lease: Lease, put_off: Duty | None = None) -> bool:
        """Ends `lease`, so that others can claim at once; returns False where another owner has claimed the memory.

        Args:
            put_off: work that is still owed, and why it is not done now.
        """
        parameters = {
            "memory": lease.memory, "owner": lease.owner, "fence": lease.fence,
            "work": put_off.work if put_off else None, "attempt": put_off.attempt if put_off else None,
            "seconds": put_off.seconds if put_off else 0.0, "reason": put_off.reason if put_off else None,
            "message": put_off.message if put_off else None,
        }  # fmt: skip
        with self._engine.begin() as connection:
            return connection.execute(self._release, parameters).rowcount == 1

    def _look(self, memory: MemoryId, seconds: float) -> None:
        """Remembers since when the lease of another owner is unchanged; it lasts `seconds` where it does not say."""
        with reading(self._engine).connect() as connection:
            row = connection.execute(_LOOK, {"memory": memory}).one()
        seen = self._others.get(memory)
        if seen is None or (seen.fence, seen.expires) != (row.fence, row.expires):
            self._others[memory] = _Sighting(row.fence, row.expires, row.seconds or seconds, time.monotonic())

    def _outlived(self, memory: MemoryId) -> _Sighting | None:
        """Returns the lease of another owner where it was not renewed for as long as it lasts."""
        seen = self._others.get(memory)
        return seen if seen is not None and time.monotonic() - seen.monotonic >= seen.seconds else None


_CLAIM = """
    INSERT INTO leases (memory, owner, fence, expires, seconds, work, attempt, since)
    VALUES (:memory, :owner, 1, :expires, :seconds, :work, :attempt, {now})
    ON CONFLICT (memory) DO UPDATE
        SET owner = excluded.owner, fence = leases.fence + 1, expires = excluded.expires, seconds = excluded.seconds,
            work = excluded.work, attempt = excluded.attempt, since = excluded.since, reason = NULL, message = NULL
        WHERE leases.expires <= :now OR leases.owner = excluded.owner
            OR (leases.fence = :outlived AND leases.expires = :unchanged)
    RETURNING fence
    """
_RELEASE = """
    UPDATE leases SET expires = 0, work = :work, attempt = :attempt, since = {now} - :seconds, reason = :reason,
        message = :message
    WHERE memory = :memory AND owner = :owner AND fence = :fence
    """
_RENEW = text("UPDATE leases SET expires = :expires WHERE memory = :memory AND owner = :owner AND fence = :fence")
_LOOK = text("SELECT fence, expires, seconds FROM leases WHERE memory = :memory")
