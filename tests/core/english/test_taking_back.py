"""Turns that take back or correct what was said before."""

import pytest

from core.english.taking_back import corrects, taken_back


@pytest.mark.parametrize(
    "text",
    [
        "Forget that.",
        "Please forget what I said!",
        "Sorry, scratch that",
        "No, wait, I was wrong.",
        "I made a mistake.",
        "I’m mistaken.",
        "I take that back.",
        "Robin lives in Oslo. Forget that.",
        "I was wrong: Robin lives in Bergen.",
    ],
)
def test_words_that_take_back(text: str) -> None:
    span = taken_back(text)

    assert span is not None
    assert text[slice(*span)].strip(" .!:") != ""


@pytest.mark.parametrize(
    "text",
    [
        "Forget that Robin lives in Oslo.",
        "Forget it.",
        "Don't forget that.",
        "That is wrong.",
        "Was I wrong?",
        "I was wrong about the weather being bad.",
        "I will never forget that day.",
        "He was wrong.",
        "",
    ],
)
def test_words_that_do_not(text: str) -> None:
    assert taken_back(text) is None


def test_words_that_correct() -> None:
    assert corrects("Actually, Robin sings in the opera.")
    assert corrects("I was wrong, it is the opera.")
    assert not corrects("Robin sings in the opera.")
