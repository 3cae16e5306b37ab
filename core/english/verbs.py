"""Finds the base and the tense of English verbs in a table (core/words/en-verbs.txt)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent.parent / "words" / "en-verbs.txt"

_CONSONANT_Y = re.compile("(?<=[^aeiou])y$")
_HISSING = re.compile("(?:s|x|z|ch|sh|[^aeiou]o)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """Forms of verbs, each with its base.

    Attributes:
        bases: all bases.
        third: third persons: "studies" is of "study".
        past: past tenses: "wrote" is of "write".
        participles: past participles: "written" is of "write".
        past_of: base -> its past tense.
    """

    bases: frozenset[str]
    third: Mapping[str, str]
    past: Mapping[str, str]
    participles: Mapping[str, str]
    past_of: Mapping[str, str]


@cache
def verbs() -> Verbs:
    """Returns the verbs of the table."""
    lines = TABLE.read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    past: dict[str, str] = {}
    participles: dict[str, str] = {}
    past_of: dict[str, str] = {}
    for base, *forms in rows:
        pasts, participles_here = (form.split("/") for form in forms or [regular_past(base)] * 2)
        past_of[base] = pasts[0]
        past |= {form: base for form in pasts if form not in past or forms}
        participles_here += [form for form in pasts if form.endswith("ed") and form not in participles_here]
        participles |= {form: base for form in participles_here if form not in participles or forms}
    bases = frozenset(base for base, *_ in rows)
    third = {third_person(base): base for base in bases}
    return Verbs(bases=bases, third=third, past=past, participles=participles, past_of=past_of)


def regular_past(base: str) -> str:
    """Returns the past tense of a regular verb: "studied" of "study"."""
    return f"{base}d" if base.endswith("e") else f"{_CONSONANT_Y.sub('i', base)}ed"


def third_person(base: str) -> str:
    """Returns the third person of a verb: "studies" of "study"."""
    if base == "have":
        return "has"
    base = _CONSONANT_Y.sub("ie", base)
    return f"{base}es" if _HISSING.search(base) else f"{base}s"
