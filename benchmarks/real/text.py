"""Held-out English text: passages of old books, and prose in the documentation of Python and installed packages."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random

from benchmarks.real.people import DATA
from core.weights.model.editable_model import EditableModel

LONGEST = 128  # tokens of a sequence
AT_ONCE = 512  # texts that are tokenized together
QUOTED = re.compile('"""(.*?)"""', re.DOTALL)
PLAIN = re.compile(r"[A-Z][A-Za-z ,;:'()\-\d\"]+[.!?]")  # a sentence of words
SHORTEST = 60  # characters of a sentence that counts
STANDARD, INSTALLED = "stdlib", "purelib"  # names in sysconfig of the folders with code


def passages(model: EditableModel, documented: int) -> list[list[int]]:
    """Returns token ids of the passages, and of `documented` paragraphs of Python's own documentation."""
    texts = (DATA / "passages.txt").read_text(encoding="utf-8").split("\n\n")
    return _ids(model, [*texts, *islice(_prose(STANDARD), documented)])


def documentation(model: EditableModel, tokens: int) -> list[list[int]]:
    """Returns token ids of different paragraphs from installed packages, `tokens` in all where there are as many."""
    sequences: list[list[int]] = []
    left, texts = tokens, _different(_prose(INSTALLED))
    while left and (batch := list(islice(texts, AT_ONCE))):
        for ids in _ids(model, batch):
            sequences += [ids[:left]] if left else []
            left -= len(ids[:left])
    return sequences


def _ids(model: EditableModel, texts: list[str]) -> list[list[int]]:
    """Returns the first tokens of each text."""
    end = -ended if (ended := len(model.tokenizer("a").input_ids) - len(model.raw_ids("a"))) else None
    return [list(ids[:end][:LONGEST]) for ids in model.tokenizer(texts).input_ids]


def _different(texts: Iterator[str]) -> Iterator[str]:
    """Yields each of `texts` once."""
    seen = set[str]()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _prose(folder: str) -> Iterator[str]:
    """Yields paragraphs of docstrings, file by file in an order that looks random and is always the same."""
    for root in _roots(folder):
        paths = sorted(path for path in root.rglob("*.py") if folder != STANDARD or "site-packages" not in path.parts)
        Random(0).shuffle(paths)
        for path in paths:
            for docstring in _docstrings(path):
                yield from _sentences(docstring)


def _roots(folder: str) -> list[Path]:
    """Returns the folders with that code: installed packages may be in several."""
    if folder == STANDARD:
        return [Path(sysconfig.get_path(folder))]
    return [Path(entry) for entry in sys.path if Path(entry).name == "site-packages" and Path(entry).is_dir()]


def _docstrings(path: Path) -> Iterator[str]:
    """Yields what stands between triple quotes, which is docstrings for the most part."""
    with suppress(OSError, ValueError):
        yield from QUOTED.findall(path.read_text(encoding="utf-8"))


def _sentences(docstring: str) -> Iterator[str]:
    """Yields the paragraphs of a docstring, each reduced to its sentences of plain words."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        plain = [hit[0] for hit in PLAIN.finditer(" ".join(paragraph.split())) if len(hit[0]) >= SHORTEST]
        if plain:
            yield " ".join(plain)
