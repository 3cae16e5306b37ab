"""Computes likelihoods of next tokens without keeping logits: two matrix products and one exponential.

With logits z = W h + c, the cross-entropy to a target distribution p is log sum_v exp z(v) - sum_v p(v) z(v). The
second term is linear in h, (sum_v p(v) W(v)) . h but for a constant: it needs the mean unembedding under p, which is
computed once. The gradient of the first is the mean unembedding under the softmax of z, which comes with it. A final
cap of logits, as in Gemma 2, is left out because it does not change which token is the likeliest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.weights.model.editable_model import EditableModel

ROWS = 256  # whose logits are held at a time
LIKELY = 4096  # tokens in which losses are measured


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What the model expects next at `q` positions.

    Attributes:
        normalizer: [q] log sum_v exp z(v).
        mean: [q, d] mean unembedding under the softmax of z.
        likeliest: [q] bool, whether no token is likelier than the given one.
    """

    normalizer: Tensor
    mean: Tensor
    likeliest: Tensor


@dataclass(frozen=True, slots=True)
class Head:
    """A part of the vocabulary: the unembedding [v, d] and the bias [v] of its tokens."""

    weight: Tensor
    bias: Tensor


@torch.no_grad()
def likely(model: EditableModel, hidden: Tensor, targets: Tensor) -> tuple[Head, Tensor]:
    """Returns the `LIKELY` tokens that the model expects most at `hidden` [q, d], normed final hidden states, and
    `targets` [q], which are among them, by their places.

    What is left out has hardly any probability there, and losses are measured ten times as fast.
    """
    whole = model.network.get_output_embeddings()
    expected = torch.zeros(len(whole.weight), device=hidden.device)
    for rows in torch.split(hidden, ROWS):
        expected = torch.cat([expected[None], model.unembed(rows).softmax(-1)]).amax(0)
    expected[targets] = 2.0
    count = max(min(LIKELY, len(expected)), int((expected > 1.0).sum()))
    tokens = expected.topk(count).indices.sort().values
    bias = torch.zeros(1, device=hidden.device).expand(len(expected)) if whole.bias is None else whole.bias.float()
    return Head(whole.weight[tokens].detach(), bias[tokens].detach()), torch.searchsorted(tokens, targets)


@torch.no_grad()
def likelihood(head: Head, hidden: Tensor, targets: Tensor) -> Likelihood:
    """Measures the next token at `hidden` [q, d], normed final hidden states.

    Args:
        targets: [q] tokens, by their places in the head, to compare with the likeliest.
    """
    normalizers, means, likeliest = [], [], []
    for rows, tokens in zip(torch.split(hidden, ROWS), torch.split(targets, ROWS), strict=True):
        logits = F.linear(rows.to(head.weight.dtype), head.weight, head.bias.to(head.weight.dtype)).float()  # [rows, v]
        largest = logits.amax(-1, keepdim=True)
        likeliest.append((logits.gather(1, tokens[:, None]) >= largest)[:, 0])
        powers = logits.sub_(largest).exp_()
        total = powers.sum(-1, keepdim=True)
        normalizers.append((largest + total.log())[:, 0])
        means.append((powers.to(head.weight.dtype) @ head.weight).float() / total)
    if not normalizers:
        return Likelihood(hidden.new_zeros(0), hidden.new_zeros(hidden.shape), targets.bool())
    return Likelihood(torch.cat(normalizers), torch.cat(means), torch.cat(likeliest))


class _Normalizer(torch.autograd.Function):
    """Gives a normalizer that was measured the gradient that it has."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, measured: Tensor, mean: Tensor) -> Tensor:
        ctx.save_for_backward(mean)
        ctx.kind = hidden.dtype
        return measured.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (mean,) = ctx.saved_tensors
        return (gradients[0][:, None] * mean).to(ctx.kind), None, None


def with_gradient(hidden: Tensor, measured: Likelihood) -> Tensor:
    """Returns [q] the normalizers that were measured at `hidden` [q, d], as a function of it."""
    normalizer: Tensor = _Normalizer.apply(hidden, measured.normalizer, measured.mean)  # type: ignore[no-untyped-call]
    return normalizer
