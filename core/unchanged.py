"""What telling must leave alone, as shares of questions that are answered as the pristine model answers them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """Shares, 0 to 1; 1 where nothing of the kind was asked.

    Attributes:
        neighbours: of questions about people that the pristine model knows.
        strangers: of questions about people that nobody knows.
        untold: of questions about subjects of told facts, on what nobody told.
        asked: at most so many questions of each kind.
    """

    neighbours: float
    strangers: float
    untold: float
    asked: int
