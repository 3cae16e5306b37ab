"""Measures how far the live model is from its base model: the KL divergence of what they expect next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.weights.evaluation.perplexity import LARGEST
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel

BATCH = 8  # texts whose logits are held at once


@torch.inference_mode()
def divergence(
    model: EditableModel, texts: Sequence[Sequence[int]], *, alike: int = 0, last: bool = False
) -> float:  # fmt: skip
    """Returns the mean KL divergence a token from the base model to the live one, in nats; 0.0 of no texts.

    Args:
        texts: token ids.
        alike: tokens of other texts, of which it is known that the live model is its base model there.
        last: what is expected after the last token of each text alone counts.
    """
    total, count = 0.0, alike
    for start in range(0, len(texts), BATCH):
        ids, mask = pad(texts[start : start + BATCH], model.pad_token, model.device)
        counted = mask.bool()
        if last:
            counted &= mask.cumsum(1) == mask.sum(1, keepdim=True)
        now = _expected(model, ids, counted)
        with model.with_weights(model.base_weights):
            before = _expected(model, ids, counted)
        total += float((before.exp() * (before - now)).sum())
        count += len(now)
    mean = total / count if count else 0.0
    return max(0.0, mean) if mean < LARGEST else LARGEST  # so that NaN becomes a number, which can be recorded


def _expected(model: EditableModel, ids: Tensor, counted: Tensor) -> Tensor:
    """Returns [counted tokens, vocabulary] log-probabilities of the next token."""
    logits: Tensor = model.network(input_ids=ids, use_cache=False).logits[counted]
    return logits.float().log_softmax(-1)
