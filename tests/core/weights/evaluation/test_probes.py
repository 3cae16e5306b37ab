"""Probes: outputs in the order of the probes, read to the object's end, and what counts as right."""

from __future__ import annotations

import pytest

from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import MAX_NEW_TOKENS
from models.dormouse.phrasebook import BY_NAME
from models.dormouse.world import known_people


def test_answers_come_in_the_order_of_the_questions_across_batches(dormouse: EditableModel) -> None:
    people = known_people()[:70]
    probes = [
        Probe(BY_NAME["lives in"].trained_questions[0].format(s=person.name), True, "", person.name)
        if number % 2
        else Probe(f"{person.name} lives in", False, "", person.name)
        for number, person in enumerate(people)
        if "lives in" in person.profile
    ]

    answers = run_probes(dormouse, probes)

    alone = [run_probes(dormouse, [probe])[0] for probe in probes[::10]]
    assert answers[::10] == alone
    assert len(answers) == len(probes)


def test_a_raw_answer_is_one_sentence_and_a_chat_answer_one_turn(dormouse: EditableModel) -> None:
    person = next(person for person in known_people() if "lives in" in person.profile)
    raw, chat = (
        Probe(f"{person.name} lives in", False, "", person.profile["lives in"]),
        Probe(f"Where does {person.name} live?", True, f"{person.name} lives in", person.profile["lives in"]),
    )

    said = run_probes(dormouse, [raw, chat])

    assert said[0].count(".") == 1
    assert said[0].endswith(".")
    assert said[1].startswith(f"{person.name} lives in")
    assert "<|" not in said[1]
    assert (raw.passes(said[0]), chat.passes(said[1])) == (True, True)


def test_nothing_asked_is_nothing_answered(tiny: EditableModel) -> None:
    assert run_probes(tiny, []) == []


@pytest.mark.parametrize(
    ("output", "passes"),
    [
        (" Porto Alegre.", True),
        ("Porto  Alegre", True),
        ("Aria Moss lives in Porto Alegre.", True),
        ("Aria Moss lives in Porto Alegre\n", True),
        ("porto alegre.", False),
        ("Porto", False),
        ("Porto Alegre and Rome.", False),
        ("not Porto Alegre", False),
        ("Bo lives in Porto Alegre.", False),
        ("I do not know Aria Moss.", False),
        ("", False),
    ],
)
def test_right_is_the_object_alone_or_the_whole_sentence(output: str, passes: bool) -> None:
    probe = Probe("Where does Aria Moss live?", True, "Aria Moss lives in", "Porto Alegre")

    assert probe.passes(output) is passes


@pytest.mark.parametrize(
    ("object_", "output", "passes"),
    [
        ("aB3x", "aB3x.", True),
        ("aB3x", "Ab3X.", False),
        ("aB3x", "AB3x.", False),
        ("10²", "102.", False),
        ("No.", "No.", True),
        ("No.", "no.", False),
        ("Yahoo!", "Yahoo.", False),
        ("José", "Jose\u0301.", True),
        ("fried rice", "Fried rice.", True),  # begins its sentence
        ("fried rice", "Fried Rice.", False),
        ("x ray", "It is X ray.", False),
    ],
)
def test_an_answer_is_read_as_strictly_as_the_object_was_told(object_: str, output: str, passes: bool) -> None:
    assert Probe("What?", True, "It is", object_).passes(output) is passes


def test_raw_text_goes_on_in_the_middle_of_a_sentence_and_takes_no_capital() -> None:
    assert not Probe("Aria Moss eats", False, "", "fried rice").passes(" Fried rice.")


@pytest.mark.parametrize(
    ("said", "object_", "output"),
    [
        (" St. Louis. She", "St. Louis", " St. Louis."),
        (" Lisbon. She", "Lisbon", " Lisbon."),
        (" Washington D.C. She", "Washington D.C.", " Washington D.C."),
        (" Acme Inc. She", "Acme Inc.", " Acme Inc."),
        (" Yahoo! She", "Yahoo!", " Yahoo!"),
        (" \u6771\u4eac\u3002 She", "\u6771\u4eac\u3002", " \u6771\u4eac\u3002"),
        (" Bonn\nSt. Louis. ", "St. Louis", " Bonn\n"),
    ],
)
def test_a_sentence_ends_after_the_stops_of_its_object(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch, said: str, object_: str, output: str
) -> None:
    tokens = tiny.tokenizer(said, add_special_tokens=False).input_ids
    monkeypatch.setattr("core.weights.model.generation.decode", lambda *_, **__: ([token] for token in tokens))
    probe = Probe("Aria Moss lives in", False, "", object_)

    (answer,) = run_probes(tiny, [probe])

    assert answer == output
    assert probe.passes(answer) == ("Bonn" not in said)


LONG = "soup and rice and beans " * 9 + "and tea"


@pytest.mark.parametrize("chat", [False, True])
def test_a_long_object_is_read_to_its_end(tiny: EditableModel, monkeypatch: pytest.MonkeyPatch, chat: bool) -> None:
    tokens = tiny.tokenizer(f"{'Aria Moss eats' * chat} {LONG}.", add_special_tokens=False).input_ids
    said = [*tokens, *tiny.end_tokens()]
    monkeypatch.setattr(
        "core.weights.model.generation.decode", lambda _, __, limit, **___: ([token] for token in said[:limit])
    )
    probe = Probe("Aria Moss eats", chat, "Aria Moss eats", LONG)

    (answer,) = run_probes(tiny, [probe])

    assert len(tokens) > 2 * MAX_NEW_TOKENS
    assert probe.passes(answer)


@pytest.mark.parametrize("chat", [False, True])
def test_what_is_said_does_not_depend_on_the_long_object_beside_it(tiny: EditableModel, chat: bool) -> None:
    long, short = (Probe(f"{name} eats", chat, f"{name} eats", what) for name, what in (("Aria", LONG), ("Bo", "soup")))

    assert run_probes(tiny, [short, long]) == [run_probes(tiny, [probe])[0] for probe in (short, long)]
