"""Whether the live model still says what the pristine one does: one pass over answers that are known, no generation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import MAX_NEW_TOKENS


@torch.inference_mode()
def still_said(model: EditableModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> list[bool]:
    """Whether each of `answers` is the live model's greedy one; each token is, given those before it.

    Args:
        prompts: token ids.
        answers: token ids as `spoken` returns them, up to the end of the sentence.
    """
    if not prompts:
        return []
    ids, _ = pad([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)],
                 model.pad_token, model.device)  # fmt: skip
    greedy = model.network(input_ids=ids, attention_mask=None, use_cache=False).logits.argmax(-1).tolist()
    ends = model.end_tokens()
    said = []
    for row, prompt, answer in zip(greedy, prompts, answers, strict=True):
        first, last = len(prompt) - 1, len(prompt) + len(answer) - 1  # positions that predict the answer, and its end
        ended = len(answer) == MAX_NEW_TOKENS or _ends(model, answer) or row[last] in ends
        said.append(row[first:last] == list(answer) and ended)
    return said


def _ends(model: EditableModel, answer: Sequence[int]) -> bool:
    """Whether `answer` ends where a sentence does, so that what follows it was not waited for."""
    text = model.tokenizer.decode(answer[-1:])
    return "." in text or "\n" in text
