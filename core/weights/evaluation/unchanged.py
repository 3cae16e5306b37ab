"""Checks whether the live model still predicts the base model's answers, in one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import MAX_NEW_TOKENS


@torch.inference_mode()
def predicts_answers(
    model: EditableModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[bool]:
    """Returns whether each of `answers` is the live model's greedy one: each of its tokens, given those before it.

    Args:
        prompts: token ids.
        answers: token ids as `generate_ids` returns them, up to the end of the sentence.
    """
    if not prompts:
        return []
    ids, _ = pad([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)],
                 model.pad_token, model.device)  # fmt: skip
    greedy = model.network(input_ids=ids, attention_mask=None, use_cache=False).logits.argmax(-1).tolist()
    ends = model.end_tokens()
    predicted = []
    for row, prompt, answer in zip(greedy, prompts, answers, strict=True):
        first, last = len(prompt) - 1, len(prompt) + len(answer) - 1  # positions that predict the answer, and its end
        ended = len(answer) == MAX_NEW_TOKENS or _ends(model, answer) or row[last] in ends
        predicted.append(row[first:last] == list(answer) and ended)
    return predicted


def _ends(model: EditableModel, answer: Sequence[int]) -> bool:
    """Returns whether `answer` ends where a sentence does, so that generation stopped there without an end token."""
    text = model.tokenizer.decode(answer[-1:])
    return "." in text or "\n" in text
