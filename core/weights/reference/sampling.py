"""Continues prompts in batches, by sampling or greedily, and says which texts repeat themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import decode

GRAM = 4  # tokens
VARIED = 0.75  # least share of distinct runs of `GRAM` tokens in a text that does not repeat itself


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a model adds to a prompt: token ids without the end token, and whether it came to an end by itself."""

    ids: list[int]
    ended: bool


@torch.inference_mode()
def continued(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    limit: int,
    choose: Callable[[Tensor], Tensor],
    step: Callable[[int], None],
) -> list[Continuation]:
    """Returns what the model adds to each of `prompts` (token ids), at most `limit` tokens; one batch.

    Args:
        choose: returns the next tokens [rows] by the logits [rows, vocabulary].
        step: called with the number of tokens so far; may raise.
    """
    ends = set(model.end_tokens())
    made: list[list[int]] = [[] for _ in prompts]
    active = set(range(len(prompts)))
    with model.reduced():
        for number, tokens in enumerate(decode(model, prompts, limit, choose), 1):
            step(number)
            active -= {row for row in active if tokens[row] in ends}
            for row in active:
                made[row].append(tokens[row])
            if not active:
                break
    return [Continuation(ids, row not in active) for row, ids in enumerate(made)]


def repeats_itself(ids: Sequence[int]) -> bool:
    """Returns whether too many runs of `GRAM` tokens occur more than once."""
    grams = [tuple(ids[start : start + GRAM]) for start in range(len(ids) - GRAM + 1)]
    return len(set(grams)) < VARIED * len(grams)
