"""Writes core/words/en-verbs.txt from a table of lemminflect: `pip install lemminflect==0.2.3`, then run this file.

The table is in the repository, because the rules import the standard library alone and English verbs do not change.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.english.verbs import TABLE, regular_past  # noqa: E402

HEADER = """# English verbs of lemminflect 0.2.3 (MIT licence; from the SPECIALIST Lexicon): .ci/make_verbs.py
# base, then past and past participle unless both are regular; "/" separates spellings.
"""


def main() -> None:
    """Writes the table."""
    lines = sorted(set(_lines()))
    TABLE.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="ascii")


def _lines() -> Iterator[str]:
    """Yields a line for each verb that is written in small letters alone."""
    for base, kind, *forms in _rows():
        if kind != "verb" or not _is_word(base):
            continue
        past, participle = forms[:2]
        pasts = _words(past)
        participles = _words(participle) or pasts
        if pasts and (pasts, participles) != ([regular_past(base)],) * 2:
            yield " ".join((base, "/".join(pasts), "/".join(participles)))
        else:
            yield base


def _rows() -> Iterator[list[str]]:
    """Yields base, kind and inflected forms of all words that lemminflect knows."""
    package = importlib.util.find_spec("lemminflect")
    assert package is not None, "lemminflect is not installed"
    assert package.origin is not None
    table = Path(package.origin).parent / "resources" / "infl_lu.csv.gz"
    with gzip.open(table, "rt", encoding="utf-8") as lines:
        yield from csv.reader(lines)


def _words(forms: str) -> list[str]:
    return [form for form in forms.split("/") if _is_word(form)]


def _is_word(text: str) -> bool:
    return text.isascii() and text.isalpha() and text.islower()


if __name__ == "__main__":
    main()
