"""Checks that a fact was really said: subject and object are in the user's own words, outside quotations."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.extraction.passages import Passages
from core.texts import same_words

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWords:
    """The words of a turn that are the user's own, and the titles that these quote."""

    said: str
    whole: str

    def hold(self, phrase: str, *, title: bool = False) -> bool:
        """Whether `phrase` occurs as whole words, in any case; a `title` may stand in quotation marks."""
        wanted = _plain(phrase)
        return bool(wanted) and f" {wanted} " in (self.whole if title else self.said)


def own_words(text: str, parts: Passages) -> OwnWords:
    """Returns the user's own words of `text`, as `hold` compares them."""
    pasted = [(piece.start, piece.end) for piece in parts.pieces if piece.quoted]
    typed = list(text)
    for start, end in pasted:
        typed[start:end] = " " * (end - start)
    return OwnWords(said=f" {_plain(parts.own(text))} ", whole=f" {_plain(''.join(typed))} ")


def _plain(text: str) -> str:
    return " ".join(_WORDS.findall(same_words(text)))
