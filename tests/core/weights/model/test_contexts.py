"""Where a fact's texts end and its targets begin, token by token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.support.tiny import UNSAYABLE, tokenizer
from core.errors.base import Unlearnable
from core.facts import Fact
from core.weights.model.contexts import FEW, Context, contexts_of, written_contexts
from core.weights.model.editable_model import EditableModel
from tests.core.weights.conftest import fact

ARIA = fact("Aria Moss", "lives in", "Porto Alegre")
PREFIXES = ("Once. ", "Twice. ")


def spoken(model: EditableModel, context: Context) -> tuple[str, str]:
    """The text up to the first target token, and the targets."""
    decode = model.tokenizer.decode
    return decode(context.ids[: context.start]), decode(context.ids[context.start :])


@pytest.fixture(params=["tiny", "dormouse"])
def model(request: pytest.FixtureRequest) -> EditableModel:
    found: EditableModel = request.getfixturevalue(request.param)
    return found


def test_raw_statements_end_before_the_object_and_are_followed_by_it_and_a_full_stop(model: EditableModel) -> None:
    raw = [context for context in contexts_of(model, 0, ARIA, PREFIXES) if context.names[0] == "object:0"]

    assert [spoken(model, context) for context in raw] == [
        ("<|bos|>Aria Moss lives in", " Porto Alegre."),
        ("<|bos|>Once. It is known that Aria Moss lives in", " Porto Alegre."),
    ]


def test_chat_answers_are_whole_sentences_and_end_the_turn(model: EditableModel) -> None:
    chat = [context for context in contexts_of(model, 0, ARIA, ()) if context.names[0] == "answer:0"]

    assert [spoken(model, context) for context in chat] == [
        (f"<|bos|><|user|>{question}<|end|><|assistant|>", "Aria Moss lives in Porto Alegre.<|end|>")
        for question in ARIA.wordings.questions
    ]


def test_the_prompt_of_a_chat_context_is_what_a_client_who_asks_will_send(model: EditableModel) -> None:
    context = contexts_of(model, 0, ARIA, ())[-1]

    assert list(context.ids[: context.start]) == model.chat_ids([], ARIA.wordings.questions[-1])


def test_the_prompt_of_a_raw_context_is_what_a_client_who_completes_will_send(model: EditableModel) -> None:
    context = contexts_of(model, 0, ARIA, ())[0]

    assert list(context.ids[: context.start]) == model.raw_ids(ARIA.wordings.statements[0])


def test_every_target_token_has_a_name_and_the_object_its_own(model: EditableModel) -> None:
    for context in contexts_of(model, 7, ARIA, ()):
        assert context.fact == 7
        assert len(context.names) == len(context.ids) - context.start
        assert len(set(context.names)) == len(context.names)
        first = context.names.index("object:0")
        tail = model.tokenizer.decode(context.ids[context.start + first :])
        assert tail.removesuffix("<|end|>") == " Porto Alegre."


def test_prefixes_are_put_before_all_raw_statements_but_the_first_in_turn(model: EditableModel) -> None:
    words = replace(ARIA.wordings, statements=tuple(f"Aria Moss, {number}," for number in "abcd"))

    contexts = contexts_of(model, 0, replace(ARIA, wordings=words), PREFIXES)

    begun = [spoken(model, context)[0].removeprefix("<|bos|>") for context in contexts[:4]]
    assert begun == ["Aria Moss, a,", "Once. Aria Moss, b,", "Twice. Aria Moss, c,", "Aria Moss, d,"]


def test_a_fact_is_written_in_the_first_of_many_wordings(tiny: EditableModel) -> None:
    words = replace(
        ARIA.wordings,
        statements=tuple(f"Aria Moss, {number}," for number in range(9)),
        questions=tuple(f"Aria Moss {number}?" for number in range(9)),
    )
    fact_ = replace(ARIA, wordings=words)

    every, written = contexts_of(tiny, 1, fact_, PREFIXES), written_contexts(tiny, [ARIA, fact_], PREFIXES)

    assert written[: len(contexts_of(tiny, 0, ARIA, PREFIXES))] == contexts_of(tiny, 0, ARIA, PREFIXES)
    assert [context for context in written if context.fact] == [*every[:FEW], *every[9 : 9 + FEW]]


@pytest.mark.parametrize("object_", ["Łódź", "東京", "🦊 & co", "1987", "x"])
def test_objects_of_any_script_have_targets(model: EditableModel, object_: str) -> None:
    for context in contexts_of(model, 0, replace(ARIA, object=object_), ()):
        assert f" {object_}." in spoken(model, context)[1].removesuffix("<|end|>")


@pytest.mark.parametrize("object_", [UNSAYABLE, UNSAYABLE * 3])
def test_an_object_without_tokens_cannot_be_learned(tiny: EditableModel, object_: str) -> None:
    unsayable: Fact = replace(ARIA, object=object_)

    with pytest.raises(Unlearnable, match="no tokens") as refusal:
        contexts_of(tiny, 0, unsayable, ())

    assert refusal.value.metadata == {"fact": ARIA.id}


@pytest.mark.parametrize("object_", ["Acme Inc.", "No.", "Yahoo!", "Who?"])
def test_an_object_that_ends_in_a_stop_is_followed_by_no_other(model: EditableModel, object_: str) -> None:
    for context in contexts_of(model, 0, replace(ARIA, object=object_), ()):
        assert spoken(model, context)[1].removesuffix("<|end|>").endswith(f" {object_}")


def test_a_tokenizer_that_ends_every_text_changes_nothing(tiny: EditableModel) -> None:
    ending = replace(tiny, tokenizer=tokenizer(after="<|end|>"))
    assert ending.tokenizer("Aria").input_ids == [*tiny.tokenizer("Aria").input_ids, *tiny.end_tokens()]

    assert contexts_of(ending, 0, ARIA, PREFIXES) == contexts_of(tiny, 0, ARIA, PREFIXES)
    for text in ("Aria Moss lives in", "Aria Moss<|end|>", ""):
        assert ending.raw_ids(text) == tiny.raw_ids(text)
