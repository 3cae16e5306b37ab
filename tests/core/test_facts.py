"""Facts and their words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.limits import check_fact
from core.natural import plain_words
from core.texts import same_words
from tests.core.samples import LIVES_IN, fact


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Aria Moss", "aria  moss"),
        ("Portland.", "Portland"),
        ("STRASSE", "straße"),
        ("cafe\u0301", "café"),
        (" a\tb ", "a b"),
        ("\uff21ria", "Aria"),
    ],
)
def test_texts_that_differ_in_case_spacing_accents_or_closing_punctuation_are_the_same(left: str, right: str) -> None:
    assert same_words(left) == same_words(right)


@pytest.mark.parametrize(("left", "right"), [("Portland", "Port land"), ("19", "1998"), ("C", "C++"), ("a b", "ab")])
def test_other_words_are_other_words(left: str, right: str) -> None:
    assert same_words(left) != same_words(right)


def test_words_for_a_relation_are_filled_with_the_subject() -> None:
    words = LIVES_IN.for_model("Aria Moss")

    assert words.statements == ("Aria Moss lives in", "The home of Aria Moss is in")
    assert words.questions == ("Where does Aria Moss live?",)
    assert words.answer == "Aria Moss lives in"
    assert words.probe_statements == ("Aria Moss makes a home in",)
    assert words.probe_questions == ("Tell me the city where Aria Moss lives.",)


def test_a_subject_with_braces_is_taken_literally() -> None:
    assert LIVES_IN.for_model("{x}").answer == "{x} lives in"


@given(subject=st.sampled_from(("Aria Moss", "O'Brien", "R2-D2")), relation=st.sampled_from(("is kin to", "owns {a}")))
def test_plain_words_make_a_fact_that_may_be_told(subject: str, relation: str) -> None:
    told = fact("fact-1", subject, relation, "Zanzibar", plain_words(relation).for_model(subject))

    check_fact(told, "facts[0]")
