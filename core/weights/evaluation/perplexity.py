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


@torch.inference_mode()
def perplexity_of(model: EditableModel, sequences: Sequence[Sequence[int]], batch: int = 32) -> float:
    """Returns the perplexity of token ids, the first of each sequence not counted; 1.0 of no sequences."""
    total, count = 0.0, 0
    for start in range(0, len(sequences), batch):
        ids, mask = pad(sequences[start : start + batch], model.pad_token, model.device)
        logits = model.network(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        total += float((losses * mask[:, 1:]).sum())
        count += int(mask[:, 1:].sum())
    mean = total / count if count else 0.0
    return math.exp(
        min(LARGEST, mean)
    )  # in this order, because min() then turns a NaN into LARGEST, which can be recorded
