"""Finds where a user takes back, or corrects, what was said before."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.texts import same_words

_BEFORE = r"(?:(?:please|no|sorry|oh|wait|ok|okay|well|actually|hmm|and|but|just|then|so)[\s,.!:-]+)*"
_WHAT = r"(?:that|this|what I(?:'ve| have)?(?: just)? (?:said|told you|wrote)|my last (?:message|sentence|words))"
_TAKEN_BACK = re.compile(
    rf"(?:^|(?<=[.!?;\n]))\s*(?P<words>{_BEFORE}(?:(?:forget|scratch|ignore|disregard|strike|undo) "
    rf"{_WHAT}|I take (?:that|it|this) back|I (?:was|am) (?:wrong|mistaken)|I'm (?:wrong|mistaken)|I made a mistake"
    rf"|I misspoke)(?: about (?:that|this))?(?:[\s,]+(?:please|sorry|again))?)\s*(?:[.!;:\n]|$)",
    re.IGNORECASE,
)
_FORGOTTEN = re.compile(
    rf"(?:^|(?<=[.!?;\n]))\s*(?P<words>{_BEFORE}forget (?:about )?(?P<asked>[^.!?;:\n]+?)(?:[\s,]+(?:please|again))?)"
    r"\s*(?:[.!;\n]|$)",
    re.IGNORECASE,
)
_INDIRECT = re.compile(r"(?P<ask>what|where|who) (?P<noun>.+) (?P<verb>is|are)", re.IGNORECASE)
_CORRECTS = re.compile(
    r"\b(?:actually|correction|I (?:was|am) (?:wrong|mistaken)|I'm (?:wrong|mistaken)|I made a mistake|I misspoke"
    r"|I meant|no longer|not any ?more|these days|from now on|instead)\b",
    re.IGNORECASE,
)


def taken_back(said: str) -> tuple[int, int] | None:
    """Returns which characters of a turn, whose quotations are blank, take back what was said before them.

    None where it says so of something that it names, as in "Forget that Ann lives in Oslo".
    """
    match = _TAKEN_BACK.search(said.replace("’", "'"))
    return match.span("words") if match else None


def corrects(said: str) -> bool:
    """Whether a turn, whose quotations are blank, says that what it states takes the place of what was said before."""
    return _CORRECTS.search(said.replace("’", "'")) is not None


def forgotten(said: str) -> list[tuple[str, str]]:
    """Returns what a turn, whose quotations are blank, says to forget by asking for it: "forget where I live", with the
    words that say so and those that ask, "where I live"."""
    return [(match["words"], match["asked"]) for match in _FORGOTTEN.finditer(said.replace("’", "'"))]


def asks_for(asked: str, questions: Iterable[str]) -> bool:
    """Whether words such as "where I live", "what my job is" or "my job" ask what one of `questions` asks."""
    known = set(map(same_words, questions))
    direct = _INDIRECT.fullmatch(asked)
    said = [f"{direct['ask']} {direct['verb']} {direct['noun']}"] if direct else []
    said += [f"{begin} {asked}" for begin in ("do you know", "can you tell me", "what is", "who is", "where is")]
    return not known.isdisjoint(map(same_words, said))
