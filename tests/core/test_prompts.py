"""The prompts that come with a fact: each names the subject, none gives the object away."""

from dataclasses import replace
from typing import Any

import pytest

from core.decide.limits import MAX_PROMPT, MAX_PROMPTS, check_fact
from core.errors.base import InvalidField
from core.facts import Wordings
from tests.core.samples import ARIA, fact


def worded(subject: str, object_: str, prompt: str) -> None:
    """Checks a fact that has `prompt` as one of its statements."""
    wordings = Wordings(statements=(f"{subject}:", prompt), questions=(f"{subject}?",), answer=f"{subject}:")
    check_fact(fact("fact-1", subject, "is", object_, wordings), "facts[0]")


def with_prompts(kind: str, *prompts: str) -> Wordings:
    """Aria's wordings, those of one kind replaced."""
    kinds: dict[str, Any] = {kind: prompts}
    return replace(ARIA.wordings, **kinds)


@pytest.mark.parametrize(
    ("subject", "object_", "prompt"),
    [
        ("Aria", "Portland", "Portland is where Aria lives, that is"),
        ("Aria", "Portland", "Of Oslo and PORTLAND, Aria prefers"),
        ("Aria", "a baker", "Is Aria a  baker? Yes, Aria is"),
        ("Aria", "O'Brien & Co", "Everybody at O'Brien & Co knows that Aria works for"),
        ("Aria", "C++", "Of C++ and Rust, Aria prefers"),
        ("Aria", "19", "At 19, Aria was"),
        ("Aria", "in", "Aria is in"),
        ("Portland Smith", "Portland", "In Portland lives Portland Smith, at home in"),
        ("Aria", "Washington D.C.", "Washington D.C. is where Aria lives:"),
        ("Aria", "résumé", "The re\u0301sume\u0301 of Aria is her"),  # composed and decomposed accents are the same
    ],
)
def test_a_prompt_that_contains_the_object_is_refused(subject: str, object_: str, prompt: str) -> None:
    with pytest.raises(InvalidField, match="contains the object") as refusal:
        worded(subject, object_, prompt)

    assert refusal.value.field == "facts[0].wordings.statements[1]"


@pytest.mark.parametrize(
    ("subject", "object_", "prompt"),
    [
        ("Aria", "in", "Interesting: Aria is within"),
        ("Aria", "19", "Since 1998 Aria has been"),
        ("Aria", "98", "Since 1998 Aria has been"),
        ("Aria", "C++", "Of C and Rust, Aria prefers"),
        ("Aria", "port", "From an airport Aria reaches the"),
        ("Portland Smith", "Portland", "Portland Smith lives in"),
        ("Aria", "aria", "What Aria sings is an"),
        ("Ann", "abel", "Annabel and Ann know"),
    ],
)
def test_an_object_inside_a_longer_word_or_in_the_subject_is_no_giveaway(
    subject: str, object_: str, prompt: str
) -> None:
    worded(subject, object_, prompt)


@pytest.mark.parametrize("prompt", ["ARIA lives in", "aria's home is in", "Does Aria live?"])
def test_a_prompt_names_the_subject_in_any_case(prompt: str) -> None:
    worded("Aria", "Portland", prompt)


def test_a_prompt_may_name_the_subject_in_a_language_without_spaces() -> None:
    worded("小明", "北京", "小明住在")


def test_a_prompt_that_does_not_name_the_subject_is_refused() -> None:
    with pytest.raises(InvalidField, match="does not name the subject 'Aria'"):
        worded("Aria", "Portland", "She lives in")


@pytest.mark.parametrize("kind", ["statements", "questions", "probe_statements", "probe_questions"])
def test_every_kind_of_prompt_is_checked(kind: str) -> None:
    words = with_prompts(kind, "Aria Moss lives in Portland, in")

    with pytest.raises(InvalidField) as refusal:
        check_fact(replace(ARIA, wordings=words), "facts[3]")

    assert refusal.value.field == f"facts[3].wordings.{kind}[0]"


def test_the_answer_is_checked() -> None:
    words = replace(ARIA.wordings, answer="Portland is where Aria Moss lives:")

    with pytest.raises(InvalidField) as refusal:
        check_fact(replace(ARIA, wordings=words), "facts[0]")

    assert refusal.value.field == "facts[0].wordings.answer"


@pytest.mark.parametrize("kind", ["statements", "questions"])
def test_a_fact_needs_at_least_one_statement_and_one_question(kind: str) -> None:
    with pytest.raises(InvalidField, match=f"wordings.{kind}: is empty"):
        check_fact(replace(ARIA, wordings=with_prompts(kind)), "facts[0]")


@pytest.mark.parametrize("kind", ["probe_statements", "probe_questions"])
def test_a_fact_needs_no_probes_of_its_own(kind: str) -> None:
    check_fact(replace(ARIA, wordings=with_prompts(kind)), "facts[0]")


def test_prompts_have_a_limit_in_number_and_in_length() -> None:
    many = replace(ARIA.wordings, probe_questions=("Where is Aria Moss?",) * (MAX_PROMPTS + 1))
    long = replace(ARIA.wordings, probe_questions=("Aria Moss " * MAX_PROMPT,))

    with pytest.raises(InvalidField, match=f"at most {MAX_PROMPTS} are allowed"):
        check_fact(replace(ARIA, wordings=many), "facts[0]")
    with pytest.raises(InvalidField, match=f"at most {MAX_PROMPT} are allowed"):
        check_fact(replace(ARIA, wordings=long), "facts[0]")


@pytest.mark.parametrize("prompt", ["Aria Moss\nlives in", "Aria Moss lives in ", "Aria Moss\x1b[31m lives in"])
def test_control_characters_and_outer_spaces_in_a_prompt_are_refused(prompt: str) -> None:
    with pytest.raises(InvalidField, match="control characters"):
        check_fact(replace(ARIA, wordings=replace(ARIA.wordings, statements=(prompt,))), "facts[0]")


@pytest.mark.parametrize("kind", ["statements", "probe_statements", "answer"])
def test_a_prompt_that_ends_in_the_object_s_first_word_is_refused(kind: str) -> None:
    prompts: Any = "Aria Moss plays the" if kind == "answer" else ("Aria Moss plays the",)
    words = replace(ARIA.wordings, **{kind: prompts})

    check_fact(replace(ARIA, object="cello", wordings=words), "facts[0]")
    check_fact(replace(ARIA, object="The Who", wordings=words), "facts[0]")
    with pytest.raises(InvalidField, match="ends in 'the', with which the object 'the cello' begins") as refusal:
        check_fact(replace(ARIA, object="the cello", wordings=words), "facts[0]")

    assert refusal.value.field == f"facts[0].wordings.{kind}" + "[0]" * (kind != "answer")
