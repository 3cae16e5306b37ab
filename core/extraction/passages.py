"""Finds what is quoted in a text, and cuts the rest into pieces that a parser can take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_HEADERS = re.compile(r"(?:^(?:From|To|Cc|Subject|Date|Sent|Reply-To):.*\n?){2,}.*\Z", re.MULTILINE | re.DOTALL)
_FORWARDED = re.compile(
    r"^[ \t-]*(?:original message|forwarded message|begin forwarded message).*\Z",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_LETTER = re.compile(
    r"^(?:Dear|Hi|Hello|Hey)\b[^\n.]{0,40},[ \t]*$.*?"
    r"^(?:(?:Best|Kind|Warm) (?:regards|wishes)|Regards|Sincerely|Yours|Cheers|Best|Thanks),?[ \t]*$.*\Z",
    re.MULTILINE | re.DOTALL,
)
_TASK = re.compile(
    r"^[ \t]*(?:(?:please|can you|could you|would you)[ ,]+)*(?:translate|summari[sz]e|rewrite|rephrase|paraphrase|"
    r"proofread|correct (?:this|the|my)|fix|explain|complete|continue|shorten|anal[yz]se|classify|parse|edit|improve|"
    r"repeat|reply to|respond to|answer)\b[^\n:]*:(?P<given>.*)\Z",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_MARKS = (
    re.compile(r'"[^"\n]*(?:"|$)', re.MULTILINE),
    re.compile("“[^”\n]*(?:”|$)", re.MULTILINE),
    re.compile("«[^»\n]*(?:»|$)", re.MULTILINE),
    re.compile(r"(?<![\w])['‘](?=\w)[^'’\n]* [^'’\n]* [^'’\n]*['’](?!\w)"),
)
_CUT = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*•]|\d+[.)])[ \t])|(?<=[.!?:])[ \t]*\n")
_INTRO = re.compile(  # "One more thing: ...", "So, Ann: ..."; what reports, asks, tells stories or lists is left alone
    r"(?:^|(?<=[.!?]\s))(?![^:\n]*\b(?:said|says?|told|tells?|asks?|asked|answer\w*|repl\w+|claim\w*|wrote|writes?|stat\w+|"
    r"reports?|reported|hears?|heard|read\w*|accord\w+|quot\w+|rumou?r\w*|gossip|headline|title|subject|lyrics|poem|"
    r"story|novel|tale|plot|film|movie|play|dream\w*|joke|question|example|imagin\w+|suppos\w+|pretend\w*|assum\w+|"
    r"scenario|hypothe\w+|if|wish\w*|hop\w+|plans?|idea|guess|maybe|perhaps|false|wrong|lies?|untrue|not|never)\b)"
    r"[^.!?:\n]{1,40}:[ \t]+(?=[A-Za-z])",
    re.MULTILINE | re.IGNORECASE,
)
_ASIDE = re.compile(  # what a sentence begins with and does not depend on
    r"(?:^|(?<=[.!?]\s)|(?<=\n))(?:(?:oh|and|so|well|ok|okay|hey|hi|hello),?[ \t]+)*"
    r"(?:guess what|you know what|fun fact|believe it or not|no kidding|before I forget|by the way|btw|as it happens|"
    r"the (?:thing|point|truth|fact) is|for your information|fyi|for the record|oops|in case you (?:wonder|ask))"
    r"(?:[,:!]|[ \t]?[-–—])[ \t]*(?=\w)",
    re.IGNORECASE,
)
_TAIL = re.compile(  # what a sentence ends with, likewise
    r",[ \t]*(?:believe it or not|you see|you know|mind you|as you (?:may |might )?know|let me tell you)"
    r"(?=[ \t]*[.!]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_BULLET = re.compile(r"\s*(?:(?:[-*•]|\d+[.)])[ \t]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Characters `start .. end - 1` of a text, which are parsed by themselves."""

    start: int
    end: int
    quoted: bool


@dataclass(frozen=True, kw_only=True)
class Passages:
    """A text of `length` characters in pieces, and those of its characters that stand in quotation marks."""

    length: int
    pieces: tuple[Piece, ...]
    marked: tuple[tuple[int, int], ...]

    def is_quoted(self, place: int) -> bool:
        """Whether the character at `place` is quoted, by its piece or by quotation marks."""
        return self._quoted[place : place + 1] == b"\1"

    def own(self, text: str) -> str:
        """Returns `text` with spaces in the place of everything quoted."""
        return "".join(" " if quoted else character for character, quoted in zip(text, self._quoted, strict=True))

    @cached_property
    def _quoted(self) -> bytes:
        """A byte for each character: 1 where it is quoted."""
        pasted = [(piece.start, piece.end) for piece in self.pieces if piece.quoted]
        marks = bytearray(self.length)
        for start, end in (*pasted, *self.marked):
            marks[start:end] = b"\1" * (end - start)
        return bytes(marks)


def passages(text: str) -> Passages:
    """Returns the pieces of `text`: blocks of code, lines after ">", mails, and texts given with a task are quoted."""
    blocks = _merged(sorted(_blocks(text)))
    marked = tuple(match.span() for mark in _MARKS for match in mark.finditer(text))
    pieces: list[Piece] = []
    place = 0
    for start, end in (*blocks, (len(text), len(text))):
        pieces += (Piece(start=a, end=b, quoted=False) for a, b in _cut(text, place, start))
        pieces += (Piece(start=a, end=b, quoted=True) for a, b in _cut(text, start, end))
        place = end
    return Passages(length=len(text), pieces=tuple(pieces), marked=marked)


def without_asides(text: str) -> str:
    """Returns `text` with spaces in the place of what its sentences begin or end with and do not depend on."""
    return _TAIL.sub(lambda aside: " " * len(aside[0]), _ASIDE.sub(lambda aside: " " * len(aside[0]), text))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_FENCE, _LINE, _HEADERS, _FORWARDED, _LETTER):
        yield from (match.span() for match in pattern.finditer(text))
    yield from (match.span("given") for match in _TASK.finditer(text))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns sorted `spans` with those that overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields the paragraphs and list items between `start` and `end`, without the marks before list items."""
    within = [match.end() for pattern in (_CUT, _INTRO) for match in pattern.finditer(text, start, end)]
    cuts = [start, *sorted({*within} - {start, end}), end]
    for first, last in pairwise(cuts):
        begin = _BULLET.match(text, first, last)
        assert begin is not None, "it matches nothing as well"
        if text[begin.end() : last].strip(" \t\r\n>`~"):
            yield begin.end(), last
