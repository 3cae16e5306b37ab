"""Normalizes texts, checks their characters and compares them."""

from __future__ import annotations

import re
import unicodedata

from core.errors.base import InvalidField

STOPS = ".!?…。！？"  # a sentence that ends in one of these needs no full stop
MARKS = 30  # combining marks on one letter: more than any script uses; limited because NFC sorts them in O(n^2)
JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner

_ARTICLE = re.compile("(?:a|an|the) ", re.IGNORECASE)
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_FLAGS = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f")  # such as Scotland's
_QUOTES = "\"'”’»"
_PREPENDED = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # visible signs before numbers
_VISIBLE = re.compile(f"[{_PREPENDED}]")
_REFUSED = ("Cc", "Cf", "Cs", "Zl", "Zp")
_VIRAMA = 9  # combining class of signs that remove a vowel; a joiner after one shapes the letters around it


def composed(text: str) -> str:
    """Returns `text` in NFC with every kind of space replaced by U+0020, in linear time.

    A text in which a letter has more than `MARKS` combining marks is not composed, because that would take
    quadratic time.
    """
    text = _SPACES.sub(" ", text)
    return text if text.isascii() or _overladen(text) else unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """Returns `text` as facts store it: composed, with single spaces. Outer spaces stay; `check_text` refuses them."""
    return re.sub(" +", " ", composed(text))


def without_blanks(text: str) -> str:
    """Returns `text` without spaces at its end, because tokenizers put the space at the start of the next word.

    Spaces after a line break, or in a text of nothing else, stay.
    """
    begun = text.rstrip(" ")
    return text if not begun or begun.endswith("\n") else begun


def same_words(text: str) -> str:
    """Returns the form in which subjects and relations are compared.

    It is NFKC, casefolded, with single spaces, without joiners and without punctuation at the end.
    """
    plain = text.translate(dict.fromkeys(map(ord, JOINERS)))
    return " ".join(unicodedata.normalize("NFKC", plain).casefold().split()).rstrip(".!?,;: ")


def without_article(text: str) -> str:
    """Returns `text` without an English article at its beginning: "cello" of "the cello"."""
    article = _ARTICLE.match(text)
    return text[article.end() :] if article else text


def closed(text: str) -> str:
    """Returns `text` with a full stop, unless it already ends in one of `STOPS`, as "Acme Inc." does."""
    return text if text.rstrip(_QUOTES).endswith(tuple(STOPS)) else f"{text}."


def sentence(text: str) -> str:
    """Returns the form in which objects are compared: NFC, single spaces, a full stop. Case is kept."""
    return closed(tidy(" ".join(text.split())))


def check_text(value: str, field: str, limit: int) -> None:
    """Checks that `value` is visible text: no outer spaces, line breaks, control or format characters.

    Joiners between letters and the tag characters of flags are allowed.

    Raises:
        InvalidField: it has such characters, holds no word, or has more than `limit` characters.
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
            raise InvalidField(field, f"has line breaks or control characters ({name}); remove them")


def _belongs(text: str, place: int) -> bool:
    """Whether the character at `place` is allowed there."""
    character = text[place]
    if character in JOINERS:
        return _joins(text[:place][-1:], text[place + 1 :][:1])
    if unicodedata.category(character) in _REFUSED:
        return _VISIBLE.match(character) is not None
    return character == " " or not character.isspace()


def _joins(before: str, after: str) -> bool:
    """Whether a joiner between these characters affects how they are drawn; an empty string is an end of the text."""
    if before and unicodedata.combining(before) == _VIRAMA:
        return True
    return bool(before and after) and not (before + after).isascii() and _joinable(before) and _joinable(after)


def _joinable(character: str) -> bool:
    """Whether `character` is a letter, a mark or a symbol such as an emoji."""
    return unicodedata.category(character)[0] in "LMS"


def _overladen(text: str) -> bool:
    """Whether a letter of `text` has more than `MARKS` combining marks."""
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MARKS:
            return True
    return False
