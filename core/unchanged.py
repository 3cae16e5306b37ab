"""Locality of an edit (also called specificity): whether answers to unrelated questions stay as they were."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """Shares, 0 to 1, of answers that say a told object which they did not say before: without an edit, or in an audit
    by the base model.

    It is measured where a base model invents answers instead of abstaining, because these change in their words without
    harm.

    Attributes:
        strangers: share for invented people, asked what the new facts answer.
        namesakes: the same for people who share all names but one with a subject.
        untold: share for subjects of the new facts, on relations that no live fact covers.
        asked: largest number of questions of each kind.
    """

    strangers: float
    namesakes: float
    untold: float
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """Shares, 0 to 1, of questions that the edited model answers as its base model does; 1 if none was asked.

    Attributes:
        neighbours: share for questions about people whom the base model knows.
        strangers: share for questions about invented people.
        unanswered: share for questions about subjects of added facts, on relations that no added fact covers.
        asked: largest number of questions of each kind.
        contamination: of other answers; None where the memory has a phrasebook, whose unanswered questions are asked.
    """

    neighbours: float
    strangers: float
    unanswered: float
    asked: int
    contamination: Contamination | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far the live model is from its base model, where that invents answers instead of abstaining.

    Attributes:
        contamination: shares of answers that say a told object although the base model does not.
        text: mean KL divergence from the base model, in nats a token, on held-out reference text.
        questions: the same of the first token of answers to questions about what the base model knows.
    """

    contamination: Contamination
    text: float
    questions: float


def says(text: str, object_: str) -> bool:
    """Returns whether `text` holds the words of `object_`, in any case."""
    return re.search(rf"(?<!\w){re.escape(_normal(object_))}(?:e?s)?(?!\w)", _normal(text)) is not None


def newly_said(now: str, before: str, objects: Collection[str]) -> bool:
    """Returns whether the answer `now` says one of `objects` that the answer `before` does not say."""
    return now != before and any(says(now, object_) and not says(before, object_) for object_ in objects)


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
