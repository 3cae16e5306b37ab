"""A relation that is in no phrasebook and not in the library is stated and asked for as people do."""

from __future__ import annotations

import pytest

from core.facts import Origin, Wordings
from core.natural import asked_by_people
from core.wordings import are_generated, generated_wordings, origin_of
from tests.core.samples import fact

TOM = "Tom Reed"
ASKED = [
    # subject, relation, object, statement, first question, third question
    (TOM, "collected", "old maps", "Tom Reed collected", "What did Tom Reed collect?", None),
    (TOM, "recommends", "hiking", "Tom Reed recommends", "What does Tom Reed recommend?", None),
    (TOM, "Recommends", "hiking", "Tom Reed recommends", "What does Tom Reed recommend?", None),
    (TOM, "always eats", "porridge", "Tom Reed always eats", "What does Tom Reed always eat?", None),
    (TOM, "doesn't trust", "Maria", "Tom Reed doesn't trust", "Who doesn't Tom Reed trust?", None),
    (TOM, "cannot eat", "nuts", "Tom Reed cannot eat", "What can Tom Reed not eat?", None),
    (TOM, "used to own", "a bakery", "Tom Reed used to own", "What did Tom Reed use to own?", None),
    (TOM, "is intolerant of", "lactose", "Tom Reed is intolerant of", "What is Tom Reed intolerant of?", None),
    (TOM, "'s intolerant of", "lactose", "Tom Reed is intolerant of", "What is Tom Reed intolerant of?", None),
    (TOM, "'s a patron of", "the arts", "Tom Reed is a patron of", "What is Tom Reed a patron of?", None),
    (TOM, "has never eaten", "sushi", "Tom Reed has never eaten", "What has Tom Reed never eaten?", None),
    (TOM, "has to take", "aspirin", "Tom Reed has to take", "What does Tom Reed have to take?", None),
    (TOM, "has blood type", "AB", "Tom Reed has blood type", "What blood type does Tom Reed have?",
     "What is Tom Reed's blood type?"),
    (TOM, "has a crush on", "Ann Lee", "Tom Reed has a crush on", "Who does Tom Reed have a crush on?", None),
    (TOM, "has a parrot named", "Polly", "Tom Reed has a parrot named", "What is the name of Tom Reed's parrot?",
     "What is Tom Reed's parrot called?"),
    (TOM, "'s blood type is", "AB", "Tom Reed's blood type is", "What is Tom Reed's blood type?",
     "What is the blood type of Tom Reed?"),
    (TOM, "zodiac sign", "Leo", "Tom Reed's zodiac sign is", "What is Tom Reed's zodiac sign?", None),
    (TOM, "'s godmother is", "Ann Lee", "Tom Reed's godmother is", "Who is Tom Reed's godmother?", None),
    (TOM, "'s next exam is", "Monday at 9", "Tom Reed's next exam is", "When is Tom Reed's next exam?", None),
    (TOM, "'s shop is in", "Leeds", "Tom Reed's shop is in", "Where is Tom Reed's shop?", None),
    (TOM, "'s car broke down in", "Leeds", "Tom Reed's car broke down in", "Where did Tom Reed's car break down?",
     None),
    (TOM, "is the godfather of", "Ann Lee", "Tom Reed is the godfather of", "Who is Tom Reed the godfather of?", None),
    (TOM, "was painted by", "Ann Lee", "Tom Reed was painted by", "Who was Tom Reed painted by?",
     "Who painted Tom Reed?"),
    (TOM, "admires", "Maria", "Tom Reed admires", "Who does Tom Reed admire?", None),
    (TOM, "retired in", "1990", "Tom Reed retired in", "When did Tom Reed retire?",
     "In which year did Tom Reed retire?"),
    (TOM, "wakes up at", "7 am", "Tom Reed wakes up at", "When does Tom Reed wake up?",
     "At what time does Tom Reed wake up?"),
    (TOM, "has sung since", "1990", "Tom Reed has sung since", "Since when has Tom Reed sung?", None),
    (TOM, "does for fun", "yoga", "Tom Reed does for fun", "What does Tom Reed do for fun?", None),
    (TOM, "did not finish", "school", "Tom Reed did not finish", "What did Tom Reed not finish?", None),
    (TOM, "reads the newspaper", "Le Monde", "Tom Reed reads the newspaper",
     "What newspaper does Tom Reed read?", None),
    (TOM, "godmother", "Ann Lee", "Tom Reed's godmother is", "Who is Tom Reed's godmother?", None),
    (TOM, "is the godfather of", "Maria", "Tom Reed is the godfather of", "Who is Tom Reed the godfather of?", None),
    (TOM, "wants to live in", "Rome", "Tom Reed wants to live in", "Where does Tom Reed want to live?", None),
    (TOM, "is an intern at", "Acme", "Tom Reed is an intern at", "Where is Tom Reed an intern?", None),
    (TOM, "lost interest in", "politics", "Tom Reed lost interest in", "What did Tom Reed lose interest in?", None),
    (TOM, "is good at", "chess", "Tom Reed is good at", "What is Tom Reed good at?", None),
    (TOM, "was filmed in", "Paris", "Tom Reed was filmed in", "Where was Tom Reed filmed?", None),
    (TOM, "is due", "next week", "Tom Reed is due", "When is Tom Reed due?", None),
    (TOM, "died in", "Paris", "Tom Reed died in", "Where did Tom Reed die?", "Which place did Tom Reed die in?"),
    (TOM, "volunteers at", "Oxfam", "Tom Reed volunteers at", "Where does Tom Reed volunteer?", None),
    (TOM, "believes in", "ghosts", "Tom Reed believes in", "What does Tom Reed believe in?", None),
    (TOM, "earns", "3,000 euros", "Tom Reed earns", "How much does Tom Reed earn?", None),
    (TOM, "is", "34", "Tom Reed is", "How old is Tom Reed?", None),
    (TOM, "is", "vegetarian", "Tom Reed is", "What is Tom Reed like?", None),
    (TOM, "is", "a vegan", "Tom Reed is", "What is Tom Reed?", None),
    ("The winner", "is", "Ann Lee", "The winner is", "Who is the winner?", None),
    ("the capital of Atlantis", "was renamed to", "Ys", "The capital of Atlantis was renamed to",
     "What was the capital of Atlantis renamed to?", None),
    ("my dog Rex", "sleeps in", "the kitchen", "My dog Rex sleeps in", "Where does my dog Rex sleep?", None),
    ("The Smiths", "live near", "Leeds", "The Smiths live near", "Where do the Smiths live?", None),
    ("James", "'s godson is", "Ann Lee", "James's godson is", "Who is James's godson?", None),
    ("The Beatles", "'s first drummer was", "Ann Lee", "The Beatles' first drummer was",
     "Who was the Beatles' first drummer?", None),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "relation", "object_", "statement", "question", "other"), ASKED)
def test_the_words_of_a_relation_tell_how_to_ask(
    subject: str, relation: str, object_: str, statement: str, question: str, other: str | None
) -> None:
    words = generated_wordings(subject, relation, object_, {})

    assert words.statements[0] == words.answer == statement
    assert words.questions[0] == question
    assert other is None or other in words.questions


@pytest.mark.parametrize(("subject", "relation", "object_"), [asked[:3] for asked in ASKED])
def test_there_are_enough_wordings_all_different_and_the_memory_knows_them(
    subject: str, relation: str, object_: str
) -> None:
    words = generated_wordings(subject, relation, object_, {})

    prompts = (*words.statements, *words.questions, *words.probe_statements, *words.probe_questions)
    assert len(set(prompts)) == len(prompts)
    assert len(words.statements) >= 4
    assert len(words.questions) >= 6
    assert len(words.probe_statements) >= 2
    assert len(words.probe_questions) >= 2
    assert asked_by_people(words.questions) == words.questions
    assert not any(question.endswith("what?") for question in words.questions)
    assert origin_of(fact("fact-1", subject, relation, object_, words), {}) in (Origin.RULES, Origin.LIBRARY)


@pytest.mark.parametrize("relation", ["wohnt in", "vit à", "住在", "always", "can"])
def test_what_is_not_english_is_left_as_it_is(relation: str) -> None:
    words = generated_wordings(TOM, relation, "Rom", {})

    assert words.statements[0] == f"Tom Reed {relation}"
    assert words.questions[0] == f"Complete the sentence: Tom Reed {relation}"
    assert not asked_by_people(words.questions)


def test_words_of_a_client_are_the_client_s() -> None:
    words = Wordings(statements=("Tom Reed backs",), questions=("Whom does Tom Reed back?",), answer="Tom Reed backs")

    own = fact("fact-1", TOM, "backs", "Ann Lee", words)

    assert origin_of(own, {}) is Origin.CLIENT
    assert not are_generated(own, {})
