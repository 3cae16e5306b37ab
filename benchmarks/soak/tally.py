"""Counts the operations of a client: how many, how long they took, which failed and why."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from hypnogram.client import CallFailed

T = TypeVar("T")
REPORT_SECONDS = 1.0


class Broken(Exception):
    """Raised where the server has answered, and what it says cannot be right."""


class Tally:
    """What has ended since it was last reported."""

    def __init__(self, report: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Calls `report` once a second, with the seconds of each operation by its kind, and numbers of errors."""
        self._report = report
        self._reported = time.monotonic()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._errors: defaultdict[str, int] = defaultdict(int)

    def time(self, kind: str, operation: Callable[[], T]) -> T | None:
        """Returns what `operation` returns, and counts it; None, and counts why, where it fails."""
        began = time.monotonic()
        try:
            result = operation()
        except CallFailed as error:
            self.fail(f"{kind}: {error.code} {error.reason} {error.message[:120]}".strip())
        except (Broken, OSError, ValueError, KeyError, IndexError) as error:
            self.fail(f"{kind}: {type(error).__name__} {error}"[:200])
        else:
            self._seconds[kind].append(round(time.monotonic() - began, 5))
            return result
        finally:
            if time.monotonic() - self._reported >= REPORT_SECONDS:
                self._report(self.taken())
        return None

    def fail(self, why: str) -> None:
        self._errors[why] += 1

    def taken(self) -> dict[str, Any]:
        """Returns all counts, and begins anew."""
        self._reported = time.monotonic()
        taken = {"seconds": dict(self._seconds), "errors": dict(self._errors)}
        self._seconds.clear()
        self._errors.clear()
        return taken
