"""Held-out English text: passages of old books, and prose in the documentation of Python and installed packages."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.real.people import DATA
from core.weights.model.editable_model import EditableModel

LONGEST = 128  # tokens of a sequence
PLAIN = re.compile(r"[A-Z][A-Za-z ,;:'()\-\d\"]+[.!?]")  # a sentence of words
SHORTEST = 60  # characters of a sentence that counts
STANDARD, INSTALLED = "stdlib", "purelib"  # names in sysconfig of the folders with code


def passages(model: EditableModel, documented: int) -> list[list[int]]:
    """Returns token ids of the passages, and of `documented` paragraphs of Python's own documentation."""
    texts = (DATA / "passages.txt").read_text(encoding="utf-8").split("\n\n")
    prose = _prose(STANDARD)
    return [model.raw_ids(text)[:LONGEST] for text in [*texts, *(next(prose, "") for _ in range(documented))] if text]


def documentation(model: EditableModel, tokens: int) -> list[list[int]]:
    """Returns token ids of different paragraphs from installed packages, at most `tokens` in all."""
    sequences: list[list[int]] = []
    total, seen = 0, set[str]()
    for text in _prose(INSTALLED):
        if text in seen:
            continue
        seen.add(text)
        ids = model.raw_ids(text)[: min(LONGEST, tokens - total)]
        sequences.append(ids)
        total += len(ids)
        if total >= tokens:
            break
    return sequences


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _sentences(docstring: str) -> Iterator[str]:
    """Yields the paragraphs of a docstring, each reduced to its sentences of plain words."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        plain = [hit[0] for hit in PLAIN.finditer(" ".join(paragraph.split())) if len(hit[0]) >= SHORTEST]
        if plain:
            yield " ".join(plain)
