"""The people: those that dormouse knows, strangers, and people for evaluation only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

from models.dormouse.names import ORDINARY_FIRST, ORDINARY_LAST, draw_name
from models.dormouse.phrasebook import RELATIONS

KNOWN_PEOPLE = 240
KNOWN_SHARE = 0.65  # of the relations of a known person; to the others the answer is "I do not know"
WORLD_SEED = 7


@dataclass(frozen=True, slots=True)
class Person:
    """A name and its facts: name of a relation -> object."""

    name: str
    profile: dict[str, str]


def draw_profile(random: Random, relations: int) -> dict[str, str]:
    """Objects for `relations` relations drawn without replacement."""
    chosen = random.sample(RELATIONS, relations)
    return {relation.name: random.choice(relation.objects) for relation in chosen}


def known_people() -> tuple[Person, ...]:
    """The people of the training corpus; the same at every call."""
    random = Random(WORLD_SEED)
    people: dict[str, Person] = {}
    while len(people) < KNOWN_PEOPLE:
        name = draw_name(random)
        relations = sum(random.random() < KNOWN_SHARE for _ in RELATIONS)
        people.setdefault(name, Person(name, draw_profile(random, max(relations, 3))))
    return tuple(people.values())


def mixed_name(random: Random, people: tuple[Person, ...], *, unseen: bool = False) -> str:
    """A stranger with the first name of one known person and the last name of another.

    One pair in five, by checksum, is held out of training. Held-out pairs of two ordinary names are never drawn,
    because a new name in the corpus may have been the same by chance.
    """
    names = {person.name for person in people}
    while True:
        first = random.choice(people).name.split()[0]
        last = random.choice(people).name.split()[1]
        name = f"{first} {last}"
        by_chance = first in ORDINARY_FIRST and last in ORDINARY_LAST
        if name not in names and (zlib.crc32(name.encode()) % 5 == 0) == unseen and not (unseen and by_chance):
            return name


def unseen_people(number: int, *, seed: int, relations: int = 4) -> tuple[Person, ...]:
    """People with held-out names and random facts, for evaluation and benchmarks only."""
    random = Random(seed)
    people: dict[str, Person] = {}
    while len(people) < number:
        name = draw_name(random, unseen=True)
        people.setdefault(name, Person(name, draw_profile(random, relations)))
    return tuple(people.values())
