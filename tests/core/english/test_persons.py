"""Prompts about a person are worded for the user, or left out where that cannot be done with certainty."""

from __future__ import annotations

import pytest

from core.english.persons import of_user, of_users_own
from core.facts import RelationWords
from core.library import entry_of

TURNED = {
    "{s} lives in": "I live in",
    "{s} is employed as": "I am employed as",
    "{s} has a dog named": "I have a dog named",
    "{s} was born in": "I was born in",
    "{s} currently lives in": "I currently live in",
    "{s}'s home is in": "My home is in",
    "The place where {s} lives is": "The place where I live is",
    "The place {s} calls home is": "The place I call home is",
    "As you may know, {s} speaks": "As you may know, I speak",
    "Home, for {s}, is in": "Home, for me, is in",
    "You will find {s} living in": "You will find me living in",
    "Where does {s} live?": "Where do I live?",
    "Is {s} at home?": "Am I at home?",
    "What has {s} collected?": "What have I collected?",
    "What can {s} play?": "What can I play?",
    "What is {s}'s job?": "What is my job?",
    "Do you know where {s} lives?": "Do you know where I live?",
    "I forgot, where does {s} live?": "I forgot, where do I live?",
}
LEFT = [
    "The home of {s} is in",
    "{s} and the family live in",
    "{s} introduces themselves as",
    "My neighbour {s} is employed as",
    "The tax office has {s} down as",
    "What number can I call {s} on?",
    "{s} bought a house and lives in",
    "Nothing names anybody here",
]


@pytest.mark.parametrize(("prompt", "turned"), TURNED.items())
def test_a_prompt_about_a_person_is_turned_to_the_user(prompt: str, turned: str) -> None:
    assert of_users_own(prompt) == turned


@pytest.mark.parametrize("prompt", LEFT)
def test_what_cannot_be_turned_with_certainty_is_left_out(prompt: str) -> None:
    assert of_users_own(prompt) is None


def test_the_answer_speaks_to_the_user() -> None:
    words = RelationWords(
        statements=("{s} is afraid of", "The fear of {s} is that of"),
        questions=("What is {s} afraid of?", "Do you know what {s} is afraid of?", "What frightens the mind of {s}?"),
        answer="{s} is afraid of",
        many=True,
    )

    turned = of_user(words)

    assert (turned.answer, turned.statements, turned.many) == ("You are afraid of", ("I am afraid of",), True)
    assert turned.questions == (
        "What am I afraid of?",
        "Do you know what I am afraid of?",
        "Do you remember what I am afraid of?",
        "Can you remind me what I am afraid of?",
    )


def test_questions_are_also_asked_as_by_who_said_it_before() -> None:
    words = RelationWords(
        statements=("{s} works as",),
        questions=("What does {s} do for a living?", "What is {s}'s job?", "Where does {s} work?"),
        answer="{s} works as",
    )

    asked = of_user(words).questions

    assert "What did I say I do for a living?" in asked
    assert "What did I tell you my job is?" in asked
    assert "Where was it again that I work?" in asked


@pytest.mark.parametrize("relation", ["lives in", "works as", "is allergic to", "has a dog named", "collects"])
def test_relations_of_people_keep_most_of_their_wordings(relation: str) -> None:
    entry = entry_of(relation, "something")
    assert entry is not None

    turned = of_user(entry.words)

    assert len(turned.statements) >= 15
    assert len(turned.questions) >= 20
    assert turned.probe_questions
    assert not [prompt for prompt in (*turned.statements, *turned.questions) if "{s}" in prompt]
