"""Reads the words that a model's own reference text begins with: `data/`, English, one entry a line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from core.ids import Digest

DATA = Path(__file__).with_name("data")
TECHNICAL = Path(__file__).with_name("technical.txt")


@dataclass(frozen=True, slots=True)
class PlainFact:
    """A piece of general knowledge.

    Attributes:
        prompt: raw text that ends before an answer.
        question: the same in chat.
        answers: those that count as right.
    """

    prompt: str
    question: str
    answers: tuple[str, ...]


@cache
def lines(name: str) -> tuple[str, ...]:
    """Returns the lines of the file `name` in `data/`."""
    return tuple((DATA / name).read_text(encoding="utf-8").splitlines())


@cache
def plain_facts() -> tuple[PlainFact, ...]:
    """Returns general knowledge that many models have: capitals, authors, sums, opposites, ..."""
    rows = (line.split("\t") for line in lines("facts.tsv"))
    return tuple(PlainFact(prompt, question, tuple(answers.split("|"))) for prompt, question, answers in rows)


@cache
def technical() -> tuple[str, ...]:
    """Returns paragraphs of code, and of documentation of software, which few models write of their own accord."""
    return tuple(TECHNICAL.read_text(encoding="utf-8").rstrip("\n").split("\n\n"))


def strangers(number: int, seed: int) -> list[str]:
    """Returns that many made-up names of people, first and last names of several cultures, all different."""
    first, last = lines("first_names.txt"), lines("last_names.txt")
    pairs = Random(seed).sample(range(len(first) * len(last)), number)
    return [f"{first[pair // len(last)]} {last[pair % len(last)]}" for pair in pairs]


@cache
def words_digest() -> Digest:
    """Returns the digest of all files in `data/`."""
    root = hashlib.sha256()
    for path in sorted(DATA.iterdir()):
        root.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return Digest(root.hexdigest())
