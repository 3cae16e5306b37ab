"""The work that an executor has put off, why, and until when. It is not durable: a new executor waits for nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from core.ids import MemoryId
from core.state.work import Work
from store.database.executors import Duty

FIRST_SECONDS = 1.0  # of the first wait for an error that passes; each further wait is twice as long
LONGEST_SECONDS = 60.0
LOOK = "look"  # in place of a kind of work, where the memory itself cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """A duty that is put off.

    Attributes:
        failed: whether the work itself failed, so that the log counts its attempts.
        since: when its reason came up, in seconds of the monotonic clock.
        tries: number of attempts since then.
        until: when it may be tried again, in seconds of the monotonic clock.
    """

    duty: Duty
    failed: bool
    since: float
    tries: int
    until: float


class Waits:
    """The waits, by memory and kind of work, so that one kind of work does not delay another."""

    def __init__(self) -> None:
        self._waits: dict[tuple[MemoryId, str], _Wait] = {}

    def due(self, memory: MemoryId, work: Work) -> bool:
        """Returns whether `work` may be tried now."""
        wait = self._waits.get((memory, work.name))
        is_new = wait is not None and wait.failed and work.attempt == 1  # because other work of that kind failed
        return wait is None or is_new or time.monotonic() >= wait.until

    def may_look(self, memory: MemoryId) -> bool:
        """Returns whether `memory` may be read, or read again after the last attempt failed."""
        wait = self._waits.get((memory, LOOK))
        return wait is None or time.monotonic() >= wait.until

    def until_it_passes(self, memory: MemoryId, duty: Duty) -> int:
        """Puts off `duty`, longer each time, until its reason passes; returns the attempts since the reason came up."""
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
        """Returns the duty that is put off, with its seconds so far; the first of several, None where there is none."""
        for (name, work), wait in self._waits.items():
            if name == memory and work != LOOK:
                return replace(wait.duty, seconds=time.monotonic() - wait.since)
        return None

    def over(self, memory: MemoryId, name: str) -> None:
        """Ends the wait of that kind of work, if there is one."""
        self._waits.pop((memory, name), None)

    def all_over(self, memory: MemoryId) -> bool:
        """Ends every wait of `memory`, which owes nothing any more; returns whether there was one."""
        mine = [key for key in self._waits if key[0] == memory]
        for key in mine:
            del self._waits[key]
        return bool(mine)
