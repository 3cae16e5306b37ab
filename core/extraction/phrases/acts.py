"""Says what a sentence does with what is said in it or before it: whether it jokes, or takes something back."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.extraction.phrases.meant import Understanding

JOKES = 0.8  # from which a part of a sentence is taken to say that it jokes
TAKES_BACK = 0.6  # likewise, that it takes back what was said before
MAX_WORDS = 12  # of a sentence that does nothing else
_PARTS = re.compile(r"[^.!?,;:\n…]{3,}")
_SENTENCES = re.compile(r"[^.!?\n]+[.!?]*")


def jokes(said: str, model: Understanding) -> bool:
    """Whether a part of a sentence says that it is a joke: "..., and cows can fly"."""
    parts = [part.strip() for part in _PARTS.findall(said) if part.strip()]
    if len(parts) > 1 and len(said.split()) <= MAX_WORDS:
        parts.append(said.strip())  # "ha, you believed me"
    return any(act.jokes >= JOKES for act in model.does(parts))


def takes_back(said: str, stated: Iterable[tuple[int, int]], model: Understanding) -> tuple[int, int] | None:
    """Returns which characters of a turn take back what was said before them, as `taken_back` does.

    Args:
        said: the turn, whose quotations are blank.
        stated: characters that state facts, which such a sentence does not.
        model: tells what its words do.
    """
    facts = list(stated)
    for sentence in _SENTENCES.finditer(said):
        begin, end = sentence.span()
        if "?" in sentence[0] or len(sentence[0].split()) > MAX_WORDS:
            continue
        if any(start < end and begin < stop for start, stop in facts):
            continue
        parts = [part.strip() for part in _PARTS.findall(sentence[0]) if part.strip()]
        if any(act.takes_back >= TAKES_BACK for act in model.does(parts)):
            return begin + len(sentence[0]) - len(sentence[0].lstrip()), end
    return None
