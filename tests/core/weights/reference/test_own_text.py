"""A model's own reference text: what is kept of what the model says, and in which order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from core.errors.base import Unlearnable
from core.weights.evaluation.audit import split
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_reference
from core.weights.reference import own_text
from core.weights.reference.own_text import CHAT, CHAT_FACT, RAW_FACT, TEXT, generate, joined, parts_for, said_before
from core.weights.reference.sampling import Continuation
from core.weights.reference.words import PlainFact, lines, plain_facts

FRANCE = PlainFact("The capital of France is", "What is the capital of France?", ("Paris", "the city of light"))
LETTER = PlainFact("The first letter is", "What is the first letter?", ("A",))


def says(monkeypatch: pytest.MonkeyPatch, model: EditableModel, *answers: str, ended: bool = True) -> None:
    """Lets the model say `answers`, one to each prompt of a part."""
    said = [Continuation(model.tokenizer(answer, add_special_tokens=False).input_ids, ended) for answer in answers]
    monkeypatch.setattr(own_text, "continued", lambda *_: said)


def rows(model: EditableModel, kind: str, *texts: str) -> list[dict[str, Any]]:
    part = next(part for part in parts_for(model) if part.kind == kind)
    return generate(model, replace(part, texts=texts or part.texts[:1]), lambda step: None)


def test_the_parts_hold_every_beginning_question_and_fact_once(tiny: EditableModel) -> None:
    asked: dict[str, list[str]] = {}
    for part in parts_for(tiny):
        assert part.first == len(asked.setdefault(part.kind, []))
        asked[part.kind] += part.texts

    assert asked[CHAT] == [*lines("greetings.txt"), *lines("questions.txt")]
    assert asked[RAW_FACT] == [fact.prompt for fact in plain_facts()]
    assert asked[CHAT_FACT] == [fact.question for fact in plain_facts()]
    assert [text for text in asked[TEXT] if text] == list(lines("beginnings.txt"))


def test_texts_begin_with_nothing_only_where_the_tokenizer_marks_the_beginning(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_nothing() -> int:
        return [text for part in parts_for(tiny) for text in part.texts].count("")

    marked = from_nothing()
    monkeypatch.setattr(EditableModel, "raw_ids", lambda *_: [])

    assert (marked, from_nothing()) == (own_text.FROM_NOTHING, 0)


def test_a_part_is_the_same_each_time(tiny: EditableModel) -> None:
    texts = lines("beginnings.txt")[:6]

    assert rows(tiny, TEXT, *texts) == rows(tiny, TEXT, *texts)


def test_what_is_short_empty_or_repetitive_is_left_out(tiny: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    story = " lamp stood near the river and every evening a fox comes to the garden"
    says(monkeypatch, tiny, story, "", " fox" * 40)

    assert rows(tiny, TEXT, "The", "The", "The") == [{"text": f"The{story}"}]
    assert rows(tiny, CHAT, "Hi!", "Who?", "What?") == [{"chat": [["Hi!", story.strip()]]}]


def test_an_answer_that_was_cut_short_keeps_its_whole_sentences(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, tiny, "It is. Every evening a", ended=False)

    assert rows(tiny, CHAT, "Is it?") == [{"chat": [["Is it?", "It is."]]}]


def test_the_prompt_of_a_known_fact_ends_before_its_answer(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plain_facts()[0]
    says(monkeypatch, tiny, f" the city {first.answers[0]}.")

    assert rows(tiny, RAW_FACT) == [{"recall": f"{first.prompt} the city", "of": 0}]
    assert rows(tiny, CHAT_FACT) == [{"recall": [first.question, "the city"], "of": 0}]


def test_a_fact_that_the_model_does_not_know_is_left_out(tiny: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, tiny, " a lamp.")

    assert rows(tiny, RAW_FACT) == rows(tiny, CHAT_FACT) == []


@pytest.mark.parametrize(
    ("said", "fact", "before"),
    [
        (" Paris. It lies on the Seine.", FRANCE, " "),
        (" paris", FRANCE, " "),
        ("It is the city of light, Paris.", FRANCE, "It is "),
        (" Lyon. Paris is larger.", FRANCE, None),
        (" Lyon\nParis", FRANCE, None),
        (" Parisian", FRANCE, None),
        (" a letter", LETTER, None),
        (' "A".', LETTER, ' "'),
        ("", FRANCE, None),
    ],
)
def test_an_answer_is_right_if_the_first_sentence_holds_it_as_a_word(
    said: str, fact: PlainFact, before: str | None
) -> None:
    assert said_before(said, fact) == before


def known(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Rows about facts, raw ones before those in chat; of every third fact the model knows one alone."""
    raw = [{"recall": f"raw {number}", "of": number} for number in numbers if number % 3]
    return [*raw, *({"recall": [f"chat {number}", ""], "of": number} for number in numbers)]


def test_the_text_is_read_and_no_fact_or_stranger_is_both_held_out_and_rehearsed(tiny: EditableModel) -> None:
    written = joined([[{"text": "The lamp stood."}, {"chat": [["Hi!", "Hello."]]}], known(range(90))])

    text = read_reference(tiny, written)

    assert (len(text.whole), len(text.documents), len(text.abstentions)) == (2, 1, own_text.STRANGERS)
    assert len(text.recalls) > 140
    held_out, rehearsed = ({_number(tiny, ids) for ids in half.neighbours} for half in split(text))
    assert held_out
    assert not held_out & rehearsed


def _number(model: EditableModel, ids: list[int]) -> str:
    return "".join(filter(str.isdigit, model.tokenizer.decode(ids)))


def test_a_model_that_says_nothing_of_use_is_refused() -> None:
    with pytest.raises(Unlearnable, match=r"reference\.jsonl beside its weights"):
        joined([known(range(5))])


def test_a_line_is_a_row() -> None:
    written = joined([[{"text": "a\u2028b\nc"}]])

    assert json.loads(written.split(b"\n")[0]) == {"text": "a\u2028b\nc"}
