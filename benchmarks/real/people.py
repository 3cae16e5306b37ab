"""Made-up people, the facts told about them, and the questions about them and about everybody else.

All names, objects and wordings come from `data/`; nothing is written with these wordings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from core.facts import Fact, Phrasebook, RelationWords, Wordings
from core.ids import FactId
from core.wordings import fitted, generated_wordings

DATA = Path(__file__).parent / "data"
TOLD_SHARE = 2 / 3  # of first and of last names; strangers bear the others


@dataclass(frozen=True, slots=True)
class Asked:
    """A raw statement that ends before the object, or a chat question."""

    prompt: str
    chat: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of people.

    Attributes:
        name: as a client spells it.
        words: its wordings here.
    """

    name: str
    objects: tuple[str, ...]
    words: RelationWords

    def asked(self, subject: str, object_: str = "") -> tuple[list[Asked], list[Asked]]:
        """Returns statements and questions about `subject`; with "a" and "an" as `object_` wants them."""
        words = self.words.for_model(subject)
        words = fitted(words, object_) if object_ else words
        return (
            [Asked(text, chat=False) for text in words.statements],
            [Asked(text, chat=True) for text in words.questions],
        )


@cache
def relations() -> Mapping[str, Relation]:
    """Returns the relations by name."""
    rows: list[dict[str, Any]] = tomllib.loads((DATA / "wordings.toml").read_text(encoding="utf-8"))["relation"]
    return {
        row["name"]: Relation(
            row["name"],
            tuple(row["objects"]),
            RelationWords(statements=tuple(row["statements"]), questions=tuple(row["questions"]), answer=""),
        )
        for row in rows
    }


@cache
def known_questions() -> Mapping[str, tuple[str, ...]]:
    """Returns questions of general knowledge, each with the answers that count as right."""
    accepted = tomllib.loads((DATA / "general.toml").read_text(encoding="utf-8"))["accepted"]
    return {question: tuple(answers) for question, answers in accepted.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """A fact to be told."""

    subject: str
    relation: str
    object: str

    def fact(self, phrasebook: Phrasebook) -> Fact:
        """Returns the fact with the wordings that a memory makes for a client who gives none."""
        wordings: Wordings = generated_wordings(self.subject, self.relation, self.object, phrasebook)
        return Fact(
            id=FactId(f"{self.subject}/{self.relation}"), subject=self.subject, relation=self.relation,
            object=self.object, wordings=wordings,
        )  # fmt: skip

    @property
    def asked(self) -> tuple[list[Asked], list[Asked]]:
        """Statements and questions about this fact with which it is not written."""
        return relations()[self.relation].asked(self.subject, self.object)


class World:
    """The people of one seed: those whom facts are told about, and everybody else.

    Attributes:
        facts: in the order in which they are told.
    """

    def __init__(self, seed: int, facts: int, per_subject: int) -> None:
        self._seed = f"{seed}/{per_subject}"
        names = tomllib.loads((DATA / "names.toml").read_text(encoding="utf-8"))
        random = self._draws("people")
        first, self._strange_first = _parted(random, names["first"].split())
        last, self._strange_last = _parted(random, names["last"].split())
        people = random.sample([f"{before} {after}" for before in first for after in last], -(-facts // per_subject))
        told = [fact for person in people for fact in _profile(random, person, per_subject)]
        random.shuffle(told)
        self.facts: tuple[Told, ...] = tuple(told[:facts])

    def strangers(self, size: int) -> list[Asked]:
        """Returns what is asked about people who share no name with anybody told about."""
        random = self._draws("strangers")
        return [_about(random, self._stranger(random), list(relations())) for _ in range(size)]

    def namesakes(self, told: Sequence[Told], size: int) -> list[Asked]:
        """Returns what is asked about people with the first name, the last name, or both from two people of `told`."""
        random = self._draws("namesakes")
        people = sorted({fact.subject for fact in told})
        names: list[str] = []
        while len(names) < size:
            first, last = random.choice(people).split()[0], random.choice(people).split()[1]
            stranger = self._stranger(random).split()
            name = (f"{first} {stranger[1]}", f"{stranger[0]} {last}", f"{first} {last}")[len(names) % 3]
            names.append(name if name not in people else f"{first} {stranger[1]}")
        return [_about(random, name, list(relations())) for name in names]

    def untold(self, told: Sequence[Told], size: int) -> list[Asked]:
        """Returns what is asked about the people of `told` on relations that they are never told about."""
        random = self._draws("untold")
        people = sorted({fact.subject for fact in told})
        random.shuffle(people)
        told_of = {name: {fact.relation for fact in self.facts if fact.subject == name} for name in people}
        rest = {name: [relation for relation in relations() if relation not in told_of[name]] for name in people}
        return [_about(random, name, rest[name]) for number in range(size) for name in [people[number % len(people)]]]

    def _stranger(self, random: Random) -> str:
        return f"{random.choice(self._strange_first)} {random.choice(self._strange_last)}"

    def _draws(self, purpose: str) -> Random:
        """Returns random numbers that depend on the seed and the purpose alone."""
        return Random(f"{self._seed}/{purpose}")


def sampled(told: Sequence[Told], *, chat: bool, size: int, seed: int) -> list[tuple[Told, Asked]]:
    """Returns at most `size` of the unseen wordings of `told`, as many of each fact as of the next."""
    random = Random(f"{seed}/wordings")
    wordings = {fact: fact.asked[chat] for fact in told}
    for texts in wordings.values():
        random.shuffle(texts)
    turns = [
        (fact, texts[turn])
        for turn in range(_longest(wordings))
        for fact, texts in wordings.items()
        if turn < len(texts)
    ]
    return turns[:size]


def _longest(wordings: Mapping[Told, list[Asked]]) -> int:
    return max(map(len, wordings.values()), default=0)


def _parted(random: Random, names: list[str]) -> tuple[list[str], list[str]]:
    """Returns the names that told people may bear, and those of strangers."""
    shuffled = random.sample(names, len(names))
    cut = round(len(names) * TOLD_SHARE)
    return shuffled[:cut], shuffled[cut:]


def _profile(random: Random, person: str, relations_each: int) -> list[Told]:
    chosen = random.sample(list(relations().values()), relations_each)
    return [Told(person, relation.name, random.choice(relation.objects)) for relation in chosen]


def _about(random: Random, name: str, among: Sequence[str]) -> Asked:
    """Returns one statement or question about `name`, twice as often a question."""
    statements, questions = relations()[random.choice(among)].asked(name)
    return random.choice(random.choice((statements, questions, questions)))
