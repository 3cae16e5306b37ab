"""Forms of English verbs are found in the table, and the table holds what its rules do not say."""

from __future__ import annotations

import pytest

from core.english.verbs import regular_past, third_person, verbs


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("studied", "study"),
        ("hoped", "hope"),
        ("hopped", "hop"),
        ("travelled", "travel"),
        ("traveled", "travel"),
        ("taught", "teach"),
        ("found", "find"),
        ("founded", "found"),
    ],
)
def test_a_past_tense_has_its_base(form: str, base: str) -> None:
    assert verbs().past[form] == base


@pytest.mark.parametrize(
    ("form", "base"), [("lives", "live"), ("teaches", "teach"), ("flies", "fly"), ("goes", "go"), ("plays", "play")]
)
def test_a_third_person_has_its_base(form: str, base: str) -> None:
    assert verbs().third[form] == base
    assert third_person(base) == form


def test_past_and_participle_may_differ() -> None:
    assert verbs().past_of["write"] == "wrote"
    assert verbs().participles["written"] == "write"
    assert "written" not in verbs().past
    assert regular_past("study") == "studied"


@pytest.mark.parametrize("word", ["wohnt", "habite", "vives", "is", "favourite"])
def test_other_words_are_no_verbs(word: str) -> None:
    table = verbs()

    assert word not in table.third
    assert word not in table.past
