"""Counts tries of a fault and what they lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Tally:
    """One row of results.

    Attributes:
        total: planned number of tries; 0 while unknown.
        survived: number of tries after which everything was intact.
        lost: number of acknowledged events that are gone, digests that differ, and other faults.
        why: the first loss in words, or the reason why nothing was tried.
        extra: further columns.
    """

    what: str
    total: int = 0
    tried: int = 0
    survived: int = 0
    lost: int = 0
    why: str = ""
    extra: dict[str, int] | None = None

    def add(self, losses: Iterable[str]) -> None:
        """Counts a try with its `losses`."""
        words = list(losses)
        self.tried += 1
        self.survived += not words
        self.lose(words)

    def lose(self, words: Iterable[str]) -> None:
        for word in words:
            self.lost += 1
            self.why = self.why or word

    def row(self) -> dict[str, Any]:
        row = {"what": self.what, "tried": self.tried, "survived": self.survived, "lost": self.lost}
        return row | (self.extra or {}) | ({"why": self.why} if self.why else {})
