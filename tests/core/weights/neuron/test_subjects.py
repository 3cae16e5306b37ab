"""Names in texts, and the texts about a subject."""

from __future__ import annotations

from random import Random

import pytest

from core.errors.base import Unlearnable
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.subjects import namesakes, own_texts, text_of
from tests.core.weights.conftest import fact

ARIA = fact("Aria Moss", "lives in", "Rome")


def until(model: EditableModel, text: str, name: str, *, chat: bool = False) -> list[str]:
    """The text up to the end of each occurrence of the name, as its tokens say it."""
    read = text_of(model, text, name, chat=chat)
    return [
        model.tokenizer.decode(read.ids[: end + 1]).removeprefix("<|bos|>") for end in read.ends
    ]  # fmt: skip


def test_each_occurrence_ends_at_the_last_token_of_the_name(tiny: EditableModel) -> None:
    assert until(tiny, "Aria Moss and Aria Moss's cat.", "Aria Moss") == ["Aria Moss", "Aria Moss and Aria Moss"]


def test_a_name_is_a_whole_word_whose_first_letter_may_be_of_either_case(tiny: EditableModel) -> None:
    assert until(tiny, "Annabel, Ann and Joann met.", "Ann") == ["Annabel, Ann"]
    assert until(tiny, "What does my dog Rex eat?", "My dog Rex") == ["What does my dog Rex"]
    assert until(tiny, "The capital of Ys is old.", "the capital of Ys") == ["The capital of Ys"]


def test_a_text_without_the_name_is_refused(tiny: EditableModel) -> None:
    with pytest.raises(Unlearnable, match="'Aria Moss' does not occur in 'She lives in'"):
        text_of(tiny, "She lives in", "Aria Moss", chat=False)


def test_texts_of_a_subject_differ_up_to_the_name_and_hold_none_twice(tiny: EditableModel) -> None:
    texts = own_texts(tiny, "Aria Moss")

    everything = [*texts.trained, *texts.held_out]
    assert len(set(everything)) == len(everything)
    assert all(text.ends[-1] == len(text.ids) - 1 for text in everything)
    assert text_of(tiny, "Aria Moss", "Aria Moss", chat=False) in texts.trained


def test_namesakes_share_all_words_but_one() -> None:
    names = namesakes("Aria Moss", 12, Random(0))

    assert len(set(names)) == 12
    assert {("Aria" in name, "Moss" in name) for name in names} == {(True, False), (False, True)}


def test_a_single_name_has_namesakes_too() -> None:
    assert all(" " not in name and name != "Aria" for name in namesakes("Aria", 5, Random(0)))
