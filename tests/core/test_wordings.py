"""A memory's own words for a fact: no word, article, space or stop stands twice, and questions are natural."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.facts import RelationWords, Wordings
from core.natural import plain_words
from core.texts import closed
from core.wordings import are_generated, generated_wordings, in_words
from tests.core.samples import LIVES_IN, fact

PLAYS = RelationWords(
    statements=("{s} plays the", "The instrument of {s} is the"),
    questions=("What instrument does {s} play?",),
    answer="{s} plays the",
    probe_statements=("{s} practises every day on the",),
)
WORKS_AS = RelationWords(
    statements=("{s} works as a", "By trade {s} is a"), questions=("What is the job of {s}?",), answer="{s} works as a"
)
PET = RelationWords(
    statements=("{s} has a pet", "The pet of {s} is a"), questions=("What pet does {s} have?",), answer="{s} has a pet"
)
COLOUR = RelationWords(
    statements=("The favourite colour of {s} is",),
    questions=("What is the favourite colour of {s}?",),
    answer="The favourite colour of {s} is",
)
VA_A = RelationWords(statements=("{s} va a",), questions=("¿Adónde va {s}?",), answer="{s} va a")
BOOK = {
    "lives in": LIVES_IN,
    "plays": PLAYS,
    "works as": WORKS_AS,
    "has a pet": PET,
    "favourite colour": COLOUR,
    "va a": VA_A,
}


def own(relation: str, object_: str, subject: str = "Tom Reed") -> Wordings:
    return generated_wordings(subject, relation, object_, BOOK)


def said(relation: str, object_: str, subject: str = "Tom Reed") -> list[str]:
    """The sentences that the model learns: its answer in chat first."""
    words = own(relation, object_, subject)
    return [f"{prompt} {closed(object_)}" for prompt in (words.answer, *words.statements, *words.probe_statements)]


@pytest.mark.parametrize("object_", ["the cello", "cello"])
def test_an_article_stands_once(object_: str) -> None:
    assert said("plays", object_) == [
        "Tom Reed plays the cello.",
        "Tom Reed plays the cello.",
        "The instrument of Tom Reed is the cello.",
        "Tom Reed practises every day on the cello.",
    ]


@pytest.mark.parametrize("object_", ["an actor", "actor", "engineer", "hour-glass maker", "umbrella maker"])
def test_a_vowel_takes_an(object_: str) -> None:
    named = object_.removeprefix("an ")

    assert said("works as", object_) == [
        f"Tom Reed works as an {named}.", f"Tom Reed works as an {named}.", f"By trade Tom Reed is an {named}."
    ]  # fmt: skip


@pytest.mark.parametrize(
    "object_", ["baker", "a baker", "university teacher", "European judge", "one-man band", "unicorn"]
)
def test_a_consonant_takes_a_whatever_letter_it_is_written_with(object_: str) -> None:
    assert said("works as", object_)[0] == f"Tom Reed works as a {object_.removeprefix('a ')}."


def test_an_object_with_an_article_is_said_only_where_one_may_stand() -> None:
    assert said("has a pet", "a dog") == ["The pet of Tom Reed is a dog.", "The pet of Tom Reed is a dog."]
    assert said("has a pet", "owl") == [
        "Tom Reed has a pet owl.", "Tom Reed has a pet owl.", "The pet of Tom Reed is an owl."
    ]  # fmt: skip


def test_what_looks_like_an_article_in_another_language_is_left_alone() -> None:
    assert said("va a", "España")[0] == "Tom Reed va a España."


@pytest.mark.parametrize("relation", ["Lives  In", "LIVES IN", "lives in.", "lives in the"])
def test_a_relation_is_found_in_any_case_and_with_an_article(relation: str) -> None:
    assert own(relation, "Rome") == LIVES_IN.for_model("Tom Reed")


def test_a_word_that_ends_the_prompt_is_not_said_again() -> None:
    assert said("lives in", "in Rome")[0] == "Tom Reed lives in Rome."
    assert said("lives in", "In Salah")[0] == "Tom Reed lives in In Salah."  # a town


@pytest.mark.parametrize(
    ("relation", "statement", "question"),
    [
        ("'s favourite band is", "Mara's favourite band is", "What is Mara's favourite band?"),
        ("’s shoes are", "Mara’s shoes are", "What are Mara’s shoes?"),
        ("'s boss is", "Mara's boss is", "Who is Mara's boss?"),
        ("' dog was", "Mara' dog was", "What was Mara' dog?"),
        ("'s favourite colour is", "Mara's favourite colour is", "What is Mara's favourite colour?"),
        ("'s Favourite Colour", "Mara's Favourite Colour is", "What is Mara's Favourite Colour?"),
        ("'s a member of", "Mara is a member of", "What is Mara a member of?"),
    ],
)
def test_what_belongs_to_somebody_is_asked_for_as_people_do(relation: str, statement: str, question: str) -> None:
    words = own(relation, "Abba", "Mara")

    assert statement in words.statements
    assert question in words.questions


@pytest.mark.parametrize(
    ("relation", "words"),
    [("plays", "Mara plays Abba"), ("'s band is", "Mara's band is Abba"), ("’s in", "Mara’s in Abba")],
)
def test_a_fact_is_shown_as_people_read_it(relation: str, words: str) -> None:
    assert in_words(fact("fact-1", "Mara", relation, "Abba")) == words


def test_what_somebody_says_of_their_own_is_asked_for_in_small_letters() -> None:
    words = own("is", "Robin", "My name")

    assert (words.answer, words.questions[0]) == ("My name is", "What is my name?")


def test_a_possessive_that_the_phrasebook_knows_keeps_its_words() -> None:
    words = own("'s favourite colour is", "teal")

    assert words.answer == "The favourite colour of Tom Reed is"
    assert words.questions == ("What is the favourite colour of Tom Reed?", "What is Tom Reed's favourite colour?")


OBJECTS = (
    "the cello",
    "an actor",
    "engineer",
    "Acme Inc.",
    "in Rome",
    "It",
    "The Beatles",
    "a dog",
    "owl",
    "8 cats",
)
RELATIONS = (*BOOK, "plays the", "works as a", "'s favourite colour is", "'s boss is", "is", "knows.", "is reading")


@given(relation=st.sampled_from(RELATIONS), object_=st.sampled_from(OBJECTS))
def test_nothing_is_said_twice(relation: str, object_: str) -> None:
    words = own(relation, object_)

    texts = [*said(relation, object_), *words.questions, *words.probe_questions]
    for text in texts:
        assert "  " not in text
        assert " '" not in text
        assert ".." not in text
        assert not re.search(r"\b(?:the|an?) (?:the|an?) \w", text.lower()), text
        assert not re.search(r"\b(\w+) \1\b", text), text


@given(relation=st.sampled_from(RELATIONS), object_=st.sampled_from(OBJECTS))
def test_the_words_a_memory_made_are_known_as_its_own(relation: str, object_: str) -> None:
    assert are_generated(fact("fact-1", "Tom Reed", relation, object_, own(relation, object_)), BOOK)


def test_words_recorded_before_they_fitted_objects_are_known_as_the_memory_s_own() -> None:
    assert are_generated(fact("fact-1", "Tom Reed", "plays", "the cello", PLAYS.for_model("Tom Reed")), BOOK)


@pytest.mark.parametrize(
    "given",
    [
        Wordings(statements=("Tom Reed:",), questions=("Tom Reed?",), answer="Tom Reed:"),
        plain_words("plays").for_model("Tom Reed"),
    ],
)
def test_words_of_a_client_are_not(given: Wordings) -> None:
    assert not are_generated(fact("fact-1", "Tom Reed", "plays", "the cello", given), BOOK)
