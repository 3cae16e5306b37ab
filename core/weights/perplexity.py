"""Perplexity of raw texts: what an edit costs the ordinary language of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from core.weights.capture import pad
from core.weights.subject import Subject


@torch.inference_mode()
def perplexity(subject: Subject, texts: Sequence[str], batch: int = 32) -> float:
    """exp of the mean negative log-likelihood per token over all of `texts`."""
    total, count = 0.0, 0
    for start in range(0, len(texts), batch):
        ids, mask = pad(
            [subject.raw_ids(text) for text in texts[start : start + batch]], subject.pad_token, subject.device
        )
        logits = subject.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        total += float((losses * mask[:, 1:]).sum())
        count += int(mask[:, 1:].sum())
    return float(torch.tensor(total / count).exp())
