"""Who exists: people dormouse knows, strangers it does not, and people kept for evaluation only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

from models.dormouse.names import ORDINARY_FIRST, ORDINARY_LAST, draw_name
from models.dormouse.phrasebook import RELATIONS

KNOWN_PEOPLE = 240
KNOWN_SHARE = 0.65  # of the relations of a known person; asked for the rest, dormouse does not know
WORLD_SEED = 7


@dataclass(frozen=True, slots=True)
class Person:
    """A name and what is true of it: relation name -> object."""

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
    """A known first name with the last name of somebody else: a stranger all the same.

    One pair in five, by checksum, is held out of training; of those, pairs of two ordinary names are never drawn, as
    a throw-away name may have been the same by chance.
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
    """People of held-out names with fresh facts, for evaluation and benchmarks only."""
    random = Random(seed)
    people: dict[str, Person] = {}
    while len(people) < number:
        name = draw_name(random, unseen=True)
        people.setdefault(name, Person(name, draw_profile(random, relations)))
    return tuple(people.values())
