"""Relations that mean the same in other words: pointed to where they may contradict, not asked as unanswered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.evolve import fold
from core.facts import Fact, RelationWords
from core.state.meaning import Meanings, may_contradict
from core.state.memory import Memory
from core.state.unanswered import unanswered_questions
from tests.core.samples import CREATED, LIVES_IN, added, fact, retracted

BOOK = {
    "lives in": RelationWords(
        statements=("{s} lives in", "The home of {s} is in", "{s} has a flat in"),
        questions=("Where does {s} live?",),
        answer="{s} lives in",
        probe_statements=("These days {s} resides in",),
    ),
    "works as": RelationWords(
        statements=("{s} works as a", "For a living {s} is a"),
        questions=("What is the job of {s}?",),
        answer="{s} works as a",
    ),
    "favourite colour": RelationWords(
        statements=("The favourite colour of {s} is",),
        questions=("What is the favourite colour of {s}?",),
        answer="The favourite colour of {s} is",
    ),
}
TULSA = fact("fact-1", "Ray Dunn", "lives in", "Tulsa")


def told(*facts: Fact) -> Memory:
    created = replace(CREATED, phrasebook=BOOK, hyperparameters=replace(CREATED.hyperparameters, unanswered=9))
    return fold([created, *map(added, facts)])


@pytest.mark.parametrize(
    ("relation", "means"),
    [
        ("Lives In", "lives in"),
        ("resides in", "lives in"),
        ("has a flat in", "lives in"),
        ("works as an", "works as"),
        ("'s favourite colour is", "favourite colour"),
        ("’s Favourite Colour", "favourite colour"),
        ("is in", "is in"),  # says too little to mean one of the phrasebook's
        ("is a", "is"),
        ("dislikes", "dislikes"),
        ("makes a home in", "lives in"),  # the library's synonym of the phrasebook's relation
        ("is employed as", "works as"),
        ("detests", "dislikes"),
        ("year of birth", "was born in {year}"),
        ("unveils", "unveils"),
    ],
)
def test_a_relation_means_what_the_phrasebook_says_in_its_words(relation: str, means: str) -> None:
    assert Meanings(BOOK).of(relation) == means


def test_another_object_in_other_words_is_pointed_to() -> None:
    reno = fact("fact-2", "ray dunn", "resides in", "Reno")

    memory = told(
        TULSA, fact("fact-3", "Ray Dunn", "works as", "baker"), fact("fact-4", "Bo", "lives in", "Oslo"), reno
    )

    assert may_contradict(memory, [reno, TULSA]) == [("fact-1",), ("fact-2",)]


def test_the_library_tells_what_the_phrasebook_does_not() -> None:
    employer, other = fact("fact-1", "Mara", "works for", "Acme"), fact("fact-2", "Mara", "is employed by", "Initech")
    year, place = fact("fact-3", "Mara", "year of birth", "1990"), fact("fact-4", "Mara", "was born in", "Oslo")

    memory = told(employer, other, year, place)

    assert may_contradict(memory, [other, year, place]) == [("fact-1",), (), ()]


def test_a_phrasebook_says_which_relations_have_several_objects() -> None:
    collects = RelationWords(statements=("{s} owns",), questions=("What?",), answer="{s} owns", many=True)
    meanings = Meanings({**BOOK, "owns": collects})

    assert not meanings.has_one(fact("f", "Ray Dunn", "owns", "a boat"))
    assert meanings.has_one(TULSA)


def test_of_many_things_that_are_liked_none_contradicts() -> None:
    pizza, chess = fact("fact-1", "Mara", "likes", "pizza"), fact("fact-2", "Mara", "enjoys", "chess")

    assert may_contradict(told(pizza, chess), [chess]) == [()]


def test_without_a_phrasebook_the_noun_of_a_possessive_tells() -> None:
    band, other = (
        fact(f"fact-{n}", "Mara", r, o) for n, r, o in ((1, "'s band is", "Abba"), (2, "’s band was", "Queen"))
    )
    memory = fold([replace(CREATED, phrasebook={}), added(band), added(other)])

    assert may_contradict(memory, [other]) == [("fact-1",)]


@pytest.mark.parametrize(
    "other",
    [
        fact("fact-2", "Ray Dunn", "resides in", "Tulsa"),
        fact("fact-2", "Ray Dunn", "was born in", "Reno"),
        fact("fact-2", "Ray Dunn Jr", "resides in", "Reno"),
    ],
    ids=["the same object", "another meaning", "another subject"],
)
def test_what_does_not_contradict_is_not_pointed_to(other: Fact) -> None:
    assert may_contradict(told(TULSA, other), [other]) == [()]


def test_what_was_taken_back_contradicts_nothing() -> None:
    reno = fact("fact-2", "Ray Dunn", "resides in", "Reno")
    memory = fold([retracted(TULSA)], onto=told(TULSA, reno))

    assert may_contradict(memory, [reno]) == [()]


def test_what_was_told_in_other_words_is_not_unanswered() -> None:
    reno = fact("fact-2", "Ray Dunn", "resides in", "Reno")
    teal = fact("fact-3", "Ray Dunn", "'s favourite colour is", "teal")

    assert unanswered_questions(told(reno, teal), [reno]) == ("What is the job of Ray Dunn?",)


def test_a_relation_of_a_phrasebook_has_several_objects_where_the_library_says_so() -> None:
    meanings = Meanings({"plays": LIVES_IN, "lives in": LIVES_IN})

    assert not meanings.has_one(fact("f-cello", "Ann Reed", "plays", "cello"))
    assert meanings.has_one(fact("f-oslo", "Ann Reed", "lives in", "Oslo"))
