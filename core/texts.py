"""Texts: the form in which they are kept and asked for, what may stand in one, and when two are the same."""

from __future__ import annotations

import re
import unicodedata

from core.errors.base import InvalidField

STOPS = ".!?…。！？"  # a sentence that ends in one of them needs no full stop
MARKS = 30  # combining marks on one letter; more than any script has, and sorting a long run takes quadratic time
JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner

_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_FLAGS = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f")  # Scotland's, say
_QUOTES = "\"'”’»"
_PREPENDED = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # visible signs before numbers
_VISIBLE = re.compile(f"[{_PREPENDED}]")
_REFUSED = ("Cc", "Cf", "Cs", "Zl", "Zp")
_VIRAMA = 9  # the combining class of signs that take a vowel away; a joiner after one shapes the letters around it


def composed(text: str) -> str:
    """`text` with composed letters (NFC) and no spaces but ordinary ones, in linear time.

    Letters that wear more marks than any script has are left as they are, and all around them.
    """
    text = _SPACES.sub(" ", text)
    return text if text.isascii() or _overladen(text) else unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """`text` as a fact keeps it: composed, with single spaces; outer ones stay, to be refused."""
    return re.sub(" +", " ", composed(text))


def without_blanks(text: str) -> str:
    """`text` without blanks at its end, where models expect a word with a blank before it; those of a new line stay."""
    begun = text.rstrip(" ")
    return text if not begun or begun.endswith("\n") else begun


def same_words(text: str) -> str:
    """The form in which subjects and relations are compared.

    Composed, without compatibility variants, one case, single spaces, no joiners and no closing punctuation.
    """
    plain = text.translate(dict.fromkeys(map(ord, JOINERS)))
    return " ".join(unicodedata.normalize("NFKC", plain).casefold().split()).rstrip(".!?,;: ")


def closed(text: str) -> str:
    """`text` with the full stop that ends its sentence, unless it ends in a stop of its own, as "Acme Inc." does."""
    return text if text.rstrip(_QUOTES).endswith(tuple(STOPS)) else f"{text}."


def sentence(text: str) -> str:
    """The form in which objects are compared: composed, with single spaces, and closed. Case and digits count."""
    return closed(tidy(" ".join(text.split())))


def check_text(value: str, field: str, limit: int) -> None:
    """Raises InvalidField for a text without words, of over `limit` characters, or with what is not to be seen.

    That is outer spaces, line breaks, control and formatting characters; joiners and the tags of flags may stand where
    they belong.
    """
    if len(value) > limit:
        raise InvalidField(field, f"has {len(value)} characters, at most {limit} are allowed")
    if not same_words(value):
        raise InvalidField(field, "is empty: it holds no word")
    if value != value.strip():
        raise InvalidField(field, "has outer spaces, line breaks or control characters; remove them")
    shown = _FLAGS.sub("\U0001f3f4", value)
    for place, character in enumerate(shown):
        if not _belongs(shown, place):
            name = f"U+{ord(character):04X}"
            raise InvalidField(field, f"has line breaks or control characters, as {name}; remove them")


def _belongs(text: str, place: int) -> bool:
    """Whether the character at `place` may stand there."""
    character = text[place]
    if character in JOINERS:
        return _joins(text[:place][-1:], text[place + 1 :][:1])
    if unicodedata.category(character) in _REFUSED:
        return _VISIBLE.match(character) is not None
    return character == " " or not character.isspace()


def _joins(before: str, after: str) -> bool:
    """Whether a joiner has work to do between these characters; either is empty at an end."""
    if before and unicodedata.combining(before) == _VIRAMA:
        return True
    return bool(before and after) and not (before + after).isascii() and _joinable(before) and _joinable(after)


def _joinable(character: str) -> bool:
    """Letters, marks on them, and symbols such as emoji."""
    return unicodedata.category(character)[0] in "LMS"


def _overladen(text: str) -> bool:
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MARKS:
            return True
    return False
