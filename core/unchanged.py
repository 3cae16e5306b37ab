"""Locality of an edit (also called specificity): shares of unrelated questions whose answers did not change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """Shares, 0 to 1, of questions that the edited model answers as its base model does; 1 if none was asked.

    Attributes:
        neighbours: share for questions about people whom the base model knows.
        strangers: share for questions about invented people.
        unanswered: share for questions about subjects of added facts, on relations that no added fact covers.
        asked: largest number of questions of each kind.
    """

    neighbours: float
    strangers: float
    unanswered: float
    asked: int
