"""Questions that people ask about relations without words of their own."""

from __future__ import annotations

import pytest

from core.facts import Wordings
from core.natural import asked_by_people, natural_question, plain_words
from core.wordings import are_generated, generated_wordings
from tests.core.samples import fact


@pytest.mark.parametrize(
    ("relation", "question"),
    [
        ("likes", "What does {s} like?"),
        ("works as", "What does {s} work as?"),
        ("studies", "What does {s} study?"),
        ("teaches", "What does {s} teach?"),
        ("misses", "What does {s} miss?"),
        ("fixes", "What does {s} fix?"),
        ("goes to", "What does {s} go to?"),
        ("uses", "What does {s} use?"),
        ("is", "What is {s}?"),
        ("is reading", "What is {s} reading?"),
        ("was named after", "What was {s} named after?"),
        ("can play", "What can {s} play?"),
        ("has the phone number", "What phone number does {s} have?"),
    ],
)
def test_the_words_of_a_relation_tell_its_question(relation: str, question: str) -> None:
    assert natural_question(relation) == question


@pytest.mark.parametrize("relation", ["wohnt in", "always", "does", "can", "住在", "'s a member of", "Likes"])
def test_words_that_tell_none_are_left_alone(relation: str) -> None:
    assert natural_question(relation) is None
    assert plain_words(relation).questions[-1].startswith("Complete the sentence: ")


@pytest.mark.parametrize("relation", ["likes", "works as a", "is reading"])
def test_what_is_told_in_plain_words_is_written_and_measured_on_questions_of_people(relation: str) -> None:
    words = generated_wordings("Robin Smith", relation, "x", {})

    for questions in (words.questions, words.probe_questions):
        assert questions
        assert asked_by_people(questions) == questions
    assert words.questions[0].startswith("What ")


def test_plain_words_of_old_are_still_known_as_the_memorys_own() -> None:
    old = Wordings(
        statements=("Robin Smith likes", "It is known that Robin Smith likes"),
        questions=("Robin Smith likes what?", "Complete the sentence: Robin Smith likes"),
        answer="Robin Smith likes",
        probe_statements=("As everybody knows, Robin Smith likes",),
        probe_questions=("Please finish: Robin Smith likes",),
    )

    assert are_generated(fact("fact-1", "Robin Smith", "likes", "hiking", old), {})
