"""Measures the perplexity of raw texts: what an edit costs on ordinary language."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel

LARGEST = 700.0  # cap of a mean negative log-likelihood, so that its exponential is finite


def perplexity(model: EditableModel, texts: Sequence[str], batch: int = 32) -> float:
    """Returns exp of the mean negative log-likelihood per token over all of `texts`."""
    return perplexity_of(model, [model.raw_ids(text) for text in texts], batch)


def perplexity_of(model: EditableModel, sequences: Sequence[Sequence[int]], batch: int = 32) -> float:
    """Returns the perplexity of token ids, the first of each sequence not counted; 1.0 of no sequences."""
    return perplexity_by(losses_of(model, sequences, batch), sequences)


def perplexity_by(losses: Sequence[float], sequences: Sequence[Sequence[int]]) -> float:
    """Returns the perplexity of token ids whose `losses` were measured."""
    count = sum(max(len(ids) - 1, 0) for ids in sequences)
    mean = sum(losses) / count if count else 0.0
    # In this order, because min() then turns a NaN into LARGEST, which can be recorded.
    return math.exp(min(LARGEST, mean))


@torch.inference_mode()
def losses_of(model: EditableModel, sequences: Sequence[Sequence[int]], batch: int = 32) -> list[float]:
    """Returns the negative log-likelihood of each sequence, the first token not counted, in nats."""
    summed: list[float] = []
    for start in range(0, len(sequences), batch):
        ids, mask = pad(sequences[start : start + batch], model.pad_token, model.device)
        logits = model.network(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        summed += (losses * mask[:, 1:]).sum(1).tolist()
    return summed
