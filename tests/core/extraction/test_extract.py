"""Extraction: spans, reasons, pasted text, and texts that are not English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from core.extraction.candidates import EXPLANATIONS, Modality, Reason
from core.extraction.extract import extract
from core.extraction.grounding import own_words
from core.extraction.passages import passages
from service.parsing.spacy_parser import SpacyParser

PARSER = SpacyParser()


def test_a_fact_names_its_characters_and_those_of_its_sentence() -> None:
    text = "Hello! My sister Ann, who works for Acme, lives in Oslo."

    facts = {candidate.relation: candidate for candidate in extract(text, PARSER) if candidate.accepted}

    lives = facts["lives in"]
    assert text[lives.start : lives.end].endswith("lives in Oslo")
    assert text[slice(*lives.sentence)] == text.removeprefix("Hello! ")
    assert (lives.positive, lives.modality, lives.meaning) == (True, Modality.ASSERTED, "lives in")
    assert facts["works for"].subject == "Ann"


@pytest.mark.parametrize(
    ("text", "object_"),
    [
        ("The parcel is for Robin, who has a quarrel with Acme.", "a quarrel with Acme"),
        ("Robin rents a room from Ann Lee.", "a room from Ann Lee"),
        ("Robin owns a greenhouse.", "a greenhouse"),
    ],
)
def test_an_object_is_not_cut_off_before_the_name_that_it_ends_in(text: str, object_: str) -> None:
    assert {candidate.object for candidate in extract(text, PARSER) if candidate.accepted} == {object_}


def test_a_denial_is_found_and_not_learned() -> None:
    (candidate,) = extract("Robin does not live in Oslo.", PARSER)

    assert (candidate.positive, candidate.reason) == (False, Reason.NEGATED)


def test_every_reason_has_an_explanation() -> None:
    assert set(EXPLANATIONS) == set(Reason)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Hi\n> Robin lives in Oslo\nbye", "Robin lives"),
        ("Look: ```\nRobin lives in Oslo\n``` done", "Robin lives"),
        ("What now?\n\nFrom: bob@example.com\nSubject: Oslo\n\nRobin lives in Oslo.", "Robin lives"),
        ("Please translate this into German: Robin lives in Oslo.", "Robin lives"),
        ('Ann said "Robin lives in Oslo', "Robin lives"),
        ("Ann said “Robin lives in Oslo” and left", "Robin lives"),
    ],
)
def test_what_is_quoted_is_known_by_its_marks(text: str, quoted: str) -> None:
    parts = passages(text)

    assert parts.is_quoted(text.index(quoted))
    assert not own_words(text, parts).hold("Robin")


def test_own_words_are_whole_words_in_any_case() -> None:
    text = "robin likes Jazzclubs"
    own = own_words(text, passages(text))

    assert own.hold("Robin")
    assert not own.hold("jazz")


@how(max_examples=50)
@given(st.text(max_size=200))
def test_any_text_at_all_is_read(text: str) -> None:
    for candidate in extract(text, PARSER):
        assert 0 <= candidate.start < candidate.end <= len(text)


def test_a_fact_said_often_is_one_fact() -> None:
    candidates = extract("Robin Smith likes hiking and lives in Oslo. " * 50, PARSER)

    assert [candidate.object for candidate in candidates] == ["hiking", "Oslo"]
