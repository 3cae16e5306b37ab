"""Texts as people write them: what may stand in one, and the one form in which it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors.base import InvalidField
from core.texts import MARKS, STOPS, check_text, closed, composed, same_words, tidy, without_article

JOSE, DECOMPOSED = "Jos\u00e9 Pe\u00f1a", "Jose\u0301 Pen\u0303a"


@pytest.mark.parametrize(
    "text",
    [
        "خانه\u200cسازان",  # a non-joiner inside a Persian word
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf",  # a joiner after a Sinhala sign
        "\u0915\u094d\u200d",  # one that ends a word
        "\U0001f469\u200d\U0001f680",  # an astronaut
        "\U0001f469\U0001f3fd\u200d\U0001f680",  # with a skin tone
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "1\ufe0f\u20e3",
        "\U0001fae8",  # an emoji newer than the tables of this Python
        "\u0600\u0661",  # an Arabic sign before a number
        "10\u00b2",
        "\u5317\u4eac",
    ],
)
def test_characters_are_welcome_where_they_belong(text: str) -> None:
    check_text(text, "object", 200)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A\u200dria", "U\\+200D"),  # a joiner where nothing joins
        ("Aria\u200d", "U\\+200D"),
        ("\u200cAria", "U\\+200C"),
        ("\U0001f469\u200d\u200d\U0001f680", "U\\+200D"),
        ("A\u202eria", "U\\+202E"),  # writes backwards
        ("A\u2066ria", "U\\+2066"),
        ("\u200eAria", "U\\+200E"),
        ("\ufeffAria", "U\\+FEFF"),
        ("A\u00adria", "U\\+00AD"),
        ("Aria\U000e0067", "U\\+E0067"),  # the tag of a flag without a flag
        ("A\x1b[31mria", "U\\+001B"),
        ("A\tria", "U\\+0009"),
        ("A\nria", "U\\+000A"),
        ("A\u2028ria", "U\\+2028"),
        ("A\u0085ria", "U\\+0085"),
    ],
)
def test_what_is_not_to_be_seen_is_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(InvalidField, match=name) as refusal:
        check_text(text, "object", 200)

    assert refusal.value.field == "object"


def test_a_text_that_is_too_long_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.texts.same_words", lambda text: pytest.fail("megabytes of marks take minutes to sort"))

    with pytest.raises(InvalidField, match="at most 200"):
        check_text("a" + "\u0301\u0323" * 100, "object", 200)


@pytest.mark.parametrize("form", [tidy, composed])
def test_letters_are_composed_and_spaces_ordinary(form: object) -> None:
    assert callable(form)
    assert form(DECOMPOSED) == JOSE
    assert form("Aria\u00a0Voss\u3000lives\u202fin") == "Aria Voss lives in"


def test_a_fact_has_single_spaces_and_a_question_keeps_its_own() -> None:
    assert tidy("Aria \u00a0 Voss ") == "Aria Voss "
    assert composed("def f():\n    return  1") == "def f():\n    return  1"


def test_a_letter_under_a_heap_of_marks_is_left_as_it_is() -> None:
    heap = "a" + "\u0301\u0323" * MARKS

    assert composed(heap) == heap


@given(text=st.text())
def test_what_is_composed_and_tidy_stays_so(text: str) -> None:
    assert composed(composed(text)) == composed(text)
    assert tidy(tidy(text)) == tidy(text)


def test_joiners_do_not_set_names_apart() -> None:
    assert same_words("خانه\u200cسازان") == same_words("خانهسازان")


@pytest.mark.parametrize("text", ["Acme Inc.", "No.", "Yahoo!", "Who?", 'Mr. "No."', "wait…", "东京。"])
def test_a_text_that_ends_in_a_stop_gets_no_other(text: str) -> None:
    assert closed(text) == text


@given(text=st.text(min_size=1))
def test_every_sentence_is_closed_once(text: str) -> None:
    assert closed(closed(text)) == closed(text)
    assert any(stop in closed(text) for stop in STOPS)


@pytest.mark.parametrize("text", ["Lisbon", "Acme (Inc.)", "St. Louis", "3.5", "Acme Inc.,"])
def test_any_other_text_is_closed_by_a_full_stop(text: str) -> None:
    assert closed(text) == f"{text}."


@pytest.mark.parametrize(
    ("text", "bare"),
    [("the cello", "cello"), ("A baker", "baker"), ("an apple", "apple"), ("theatre", "theatre"), ("the", "the")],
)
def test_an_article_at_the_beginning_is_taken_off(text: str, bare: str) -> None:
    assert without_article(text) == bare
