"""Leases: which executor works on a memory now, so that two do not do the same work twice.

Only a saving. An executor that works on although its lease has passed on does no harm: its append expects a version
that the memory has left. Machines are expected to agree on the time to within a fraction of a lease.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine, text

from core.ids import MemoryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claim on a memory. `fence` grows with every claim, so that of two the later one can be told."""

    memory: MemoryId
    owner: str
    fence: int


class Leases:
    """The leases of one database; see `EventLog.engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, memory: MemoryId, owner: str, seconds: float) -> Lease | None:
        """A new lease for `seconds`, or None while another owner holds one."""
        now = time.time()
        parameters = {"memory": memory, "owner": owner, "now": now, "expires": now + seconds}
        with self._engine.begin() as connection:
            fence = connection.execute(_CLAIM, parameters).scalar()
        return None if fence is None else Lease(memory=memory, owner=owner, fence=fence)

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Prolongs `lease` to `seconds` from now; False when somebody else has claimed the memory since."""
        return self._set_expiry(lease, time.time() + seconds)

    def release(self, lease: Lease) -> bool:
        """Ends `lease`, so that others can claim at once; False when somebody else has."""
        return self._set_expiry(lease, 0.0)

    def _set_expiry(self, lease: Lease, expires: float) -> bool:
        parameters = {"memory": lease.memory, "owner": lease.owner, "fence": lease.fence, "expires": expires}
        with self._engine.begin() as connection:
            return connection.execute(_SET_EXPIRY, parameters).rowcount == 1


_CLAIM = text(
    """
    INSERT INTO leases (memory, owner, fence, expires) VALUES (:memory, :owner, 1, :expires)
    ON CONFLICT (memory) DO UPDATE
        SET owner = excluded.owner, fence = leases.fence + 1, expires = excluded.expires
        WHERE leases.expires <= :now OR leases.owner = excluded.owner
    RETURNING fence
    """
)
_SET_EXPIRY = text("UPDATE leases SET expires = :expires WHERE memory = :memory AND owner = :owner AND fence = :fence")
