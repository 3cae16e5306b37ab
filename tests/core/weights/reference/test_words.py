"""The words that a model's own reference text begins with are enough, different, and made up where they must be."""

from __future__ import annotations

import re

import pytest

from core.weights.reference.words import DATA, lines, plain_facts, strangers


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
def test_no_line_is_empty_or_there_twice(path: object) -> None:
    entries = lines(str(getattr(path, "name")))  # noqa: B009

    assert len(set(entries)) == len(entries)
    assert [entry for entry in entries if not entry.strip() or entry != entry.rstrip()] == []


def test_there_are_enough_of_them() -> None:
    assert len(lines("questions.txt")) >= 150
    assert len(plain_facts()) >= 300
    assert min(len(lines("first_names.txt")), len(lines("last_names.txt"))) >= 150
    assert sum(" I " in f" {question} " or " my " in question for question in lines("questions.txt")) >= 20


def test_a_fact_has_an_answer_that_its_prompt_does_not_hold() -> None:
    for fact in plain_facts():
        assert fact.answers
        assert all(fact.answers), fact
        assert not set(fact.answers) & set(re.findall(r"\w+", fact.prompt)), fact


def test_strangers_are_all_different_and_the_same_for_a_seed() -> None:
    names = strangers(500, seed=1)

    assert len(set(names)) == 500
    assert names == strangers(500, seed=1) != strangers(500, seed=2)
    assert all(len(name.split(" ")) == 2 for name in names)
