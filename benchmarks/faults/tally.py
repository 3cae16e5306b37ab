"""How often something was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Tally:
    """One row.

    Attributes:
        total: how often it will be tried; 0 while unknown.
        survived: of those tried, after how many all was sound.
        lost: what was acknowledged and is gone, digests that differ, and whatever else is wrong.
        why: the first loss in words, or why nothing was tried.
        more: further columns.
    """

    what: str
    total: int = 0
    tried: int = 0
    survived: int = 0
    lost: int = 0
    why: str = ""
    more: dict[str, int] | None = None

    def add(self, losses: Iterable[str]) -> None:
        """Counts a try, and what it lost."""
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
        return row | (self.more or {}) | ({"why": self.why} if self.why else {})
