"""The library of wordings: every line fits every subject, and no held-out line is one to write with."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from core.decide.limits import MAX_PROMPTS
from core.facts import RelationWords
from core.library import Entry, endings, entry_of, library, library_words
from core.wordings import generated_wordings

ENTRIES = [pytest.param(entry, id=entry.names[0][0]) for entry in library()]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_line_names_the_subject_once_and_occurs_once(entry: Entry) -> None:
    words = entry.words
    prompts = [*words.statements, *words.questions, *words.probe_statements, *words.probe_questions]

    assert all(prompt.count("{s}") == 1 for prompt in (*prompts, words.answer))
    assert len({prompt.casefold() for prompt in prompts}) == len(prompts)
    assert all(prompt.startswith("{s}") or prompt[0].isupper() for prompt in (*prompts, words.answer))


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_relation_has_lines_to_write_with_and_others_to_probe_with(entry: Entry) -> None:
    words = entry.words

    assert 25 <= len(words.statements) < MAX_PROMPTS  # a client's own possessive has room beside them
    assert 30 <= len(words.questions) < MAX_PROMPTS
    assert len(words.probe_statements) >= 3
    assert len(words.probe_questions) >= 4
    for question in chain(words.questions, words.probe_questions):
        assert question.endswith("?") or (question.startswith("I wonder ") and question.endswith("."))
    for prompt in (*words.statements, *words.probe_statements, words.answer):
        assert not re.search(r"[ .,:;!?]$| (?:a|an|the)$", prompt)


def test_a_relation_has_one_entry_for_a_kind_of_object() -> None:
    names = [name for entry in library() for name in entry.names]

    assert len(set(names)) == len(names)
    assert all(not kind or kind in entry.kinds for entry in library() for _, kind in entry.names)


@pytest.mark.parametrize(
    ("relation", "object_", "answer", "question"),
    [
        ("lives in", "Rome", "Tom lives in", "Where does Tom live?"),
        ("Resides in", "Rome", "Tom lives in", "Where does Tom live?"),
        ("works as", "baker", "Tom works as a", "What does Tom do for a living?"),
        ("works as", "engineer", "Tom works as an", "What does Tom do for a living?"),
        ("works as a", "engineer", "Tom works as an", "What does Tom do for a living?"),
        ("works as", "a baker", "Tom works as", "What does Tom do for a living?"),
        ("works as", "CEO", "Tom works as", "What does Tom do for a living?"),
        ("drives", "Volvo", "Tom drives a", "What car does Tom drive?"),
        ("plays", "cello", "Tom plays the", "What instrument does Tom play?"),
        ("drives", "buses", "Tom drives", "What car does Tom drive?"),
        ("plays", "chess", "Tom plays", "What does Tom play?"),
        ("plays", "jazz", "Tom plays", "What does Tom play?"),
        ("was born in", "Naples", "Tom was born in", "Where was Tom born?"),
        ("was born in", "1984", "Tom was born in", "When was Tom born?"),
        ("was born in", "in 1984", "Tom was born", "When was Tom born?"),
        ("is", "34 years old", "Tom is", "How old is Tom?"),
        ("’s favorite color is", "teal", "Tom's favourite colour is", "What is Tom's favourite colour?"),
        ("favourite colour is", "teal", "Tom's favourite colour is", "What is Tom's favourite colour?"),
        ("has a dog named", "Rex", "Tom has a dog named", "What is the name of Tom's dog?"),
        ("'s sister is", "Ann Lee", "Tom has a sister named", "What is the name of Tom's sister?"),
        ("takes place at", "8 pm", "Tom starts at", "When does Tom start?"),
    ],
)
def test_a_relation_is_found_and_fits_its_object(relation: str, object_: str, answer: str, question: str) -> None:
    words = generated_wordings("Tom", relation, object_, {})

    assert words.answer == answer
    assert words.questions[0] == question


@pytest.mark.parametrize(
    ("relation", "object_"), [("'s sister is", "a doctor"), ("wohnt in", "Rom"), ("unveils", "x"), ("plays", "jazz")]
)
def test_what_the_library_does_not_have_is_left_to_rules(relation: str, object_: str) -> None:
    assert library_words(relation, object_) is None


def test_the_phrasebook_of_a_memory_wins() -> None:
    own = RelationWords(statements=("{s} dwells in",), questions=("Where dwells {s}?",), answer="{s} dwells in")

    assert generated_wordings("Tom", "lives in", "Rome", {"lives in": own}) == own.for_model("Tom")


def test_what_ends_a_relation_and_what_holds_since_are_relations_of_the_library() -> None:
    objects = ("Rome", "chess", "cello")
    known = {name for entry in library() for name, _ in entry.names}

    assert {entry.now for entry in library() if entry.now} == {"lives in"}
    assert {name for ending in endings() for name in ending.ends} <= known
    assert all(not entry_of(name, one) for ending in endings() for name in ending.names for one in objects)


@pytest.mark.parametrize(
    ("object_", "meaning"),
    [
        ("a translator", "works as"),
        ("a primary school teacher", "works as"),
        ("an estate agent", "works as"),
        ("a good cook", None),
        ("an avid gardener", None),
        ("a vegan", None),
        ("a hard worker", None),
    ],
)
def test_who_is_something_works_as_that_where_it_is_a_job(object_: str, meaning: str | None) -> None:
    entry = entry_of("is", object_)

    assert (entry and entry.meaning) == meaning
