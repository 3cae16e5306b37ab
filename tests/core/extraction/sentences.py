"""Reads the sentences written by hand, and says what was extracted from each in the same form."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from core.extraction.candidates import Candidate, Reason
from core.extraction.extract import extract
from core.extraction.words import Parser

HERE = Path(__file__).parent
REASONS = {
    "subject": Reason.SUBJECT_NOT_NAMED,
    "object": Reason.OBJECT_NOT_NAMED,
    "moment": Reason.MOMENTARY,
}


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A turn of a user, and what is to be learned from it.

    Attributes:
        learned, user: facts, and facts about the user, as "subject | relation | object".
        because: a reason that a rejection must have; "" for any.
        miss: why the grammar does not manage the sentence; "" where it does.
    """

    text: str
    learned: frozenset[str]
    user: frozenset[str]
    because: str
    miss: str


def sentences(name: str) -> list[Sentence]:
    rows = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))["sentence"]
    return [
        Sentence(
            text=row["text"],
            learned=frozenset(row.get("learned", ())),
            user=frozenset(row.get("user", ())),
            because=row.get("because", ""),
            miss=row.get("miss", ""),
        )
        for row in rows
    ]


def triple(candidate: Candidate) -> str:
    return f"{candidate.subject} | {candidate.relation} | {candidate.object}"


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What was extracted from a sentence."""

    learned: frozenset[str]
    user: frozenset[str]
    reasons: frozenset[Reason]

    def is_right(self, sentence: Sentence) -> bool:
        because = REASONS.get(sentence.because) or (Reason(sentence.because) if sentence.because else None)
        return (self.learned, self.user) == (sentence.learned, sentence.user) and (
            because is None or because in self.reasons
        )


def extracted(text: str, parser: Parser) -> Extracted:
    candidates = extract(text, parser)
    return Extracted(
        learned=frozenset(triple(c) for c in candidates if c.accepted and not c.about_user),
        user=frozenset(triple(c) for c in candidates if c.accepted and c.about_user),
        reasons=frozenset(c.reason for c in candidates if c.reason is not None),
    )
