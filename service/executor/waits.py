"""What an executor does not try again yet, why, and until when.

Forgotten when it ends: one that begins anew waits for nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from core.ids import MemoryId
from core.state.work import Work
from store.database.executors import Duty

FIRST_SECONDS = 1.0  # of a wait for what passes; each further one is twice as long
LONGEST_SECONDS = 60.0
LOOK = "look"  # stands for the work of a memory that cannot even be read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """A duty that is put off.

    Attributes:
        failed: whether it failed by itself; the log counts its attempts then.
        since: when what is in the way was first seen, by a clock that nobody sets.
        tries: since then.
    """

    duty: Duty
    failed: bool
    since: float
    tries: int
    until: float


class Waits:
    """Waits by memory and kind of work: what holds up the one kind need not hold up the other."""

    def __init__(self) -> None:
        self._waits: dict[tuple[MemoryId, str], _Wait] = {}

    def due(self, memory: MemoryId, work: Work) -> bool:
        """Whether `work` may be tried now."""
        wait = self._waits.get((memory, work.name))
        others = wait is not None and wait.failed and work.attempt == 1  # what failed was other work of that kind
        return wait is None or others or time.monotonic() >= wait.until

    def may_look(self, memory: MemoryId) -> bool:
        """Whether to read `memory`, or to read it again if that was not possible the last time."""
        wait = self._waits.get((memory, LOOK))
        return wait is None or time.monotonic() >= wait.until

    def until_it_passes(self, memory: MemoryId, duty: Duty) -> int:
        """Puts off `duty`, longer each time, until its reason passes. How often it was tried since that came up."""
        now, before = time.monotonic(), self._waits.get((memory, duty.work))
        again = before is not None and not before.failed and before.duty.reason == duty.reason
        since, tries = (before.since, before.tries + 1) if before is not None and again else (now, 1)
        pause = min(FIRST_SECONDS * 2.0 ** min(tries - 1, 10), LONGEST_SECONDS)
        self._waits[memory, duty.work] = _Wait(duty=duty, failed=False, since=since, tries=tries, until=now + pause)
        return tries

    def after_failure(self, memory: MemoryId, duty: Duty, seconds: float) -> None:
        """Puts off the next attempt at `duty` for `seconds`."""
        now = time.monotonic()
        self._waits[memory, duty.work] = _Wait(duty=duty, failed=True, since=now, tries=0, until=now + seconds)

    def put_off(self, memory: MemoryId) -> Duty | None:
        """What is put off now, and for how long it has been; of several duties the first."""
        for (name, work), wait in self._waits.items():
            if name == memory and work != LOOK:
                return replace(wait.duty, seconds=time.monotonic() - wait.since)
        return None

    def over(self, memory: MemoryId, name: str) -> None:
        """Forgets the wait of that kind of work, if there was one."""
        self._waits.pop((memory, name), None)

    def all_over(self, memory: MemoryId) -> bool:
        """Forgets every wait of `memory`, which owes nothing any more; whether there was one."""
        mine = [key for key in self._waits if key[0] == memory]
        for key in mine:
            del self._waits[key]
        return bool(mine)
