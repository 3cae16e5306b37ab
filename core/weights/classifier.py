"""Computes a linear classifier with squared hinge loss, a support vector machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

WEIGHT = 10.0  # of each kind of other rows, against own rows
DECAY = 3e-4  # of the squared norm of a classifier, unless another one is given
ITERATIONS = 60  # of L-BFGS
PREFERRED = 4.0  # how often the preferred rows count


def classify(
    wanted: Tensor, groups: Sequence[Tensor], preferred: int, decay: float = DECAY
) -> tuple[Tensor, float]:  # fmt: skip
    """Returns a [d] and b of the classifier `a . x + b`, which is to be 1 or more in `wanted` and -1 or less in others.

    Args:
        wanted: [n, d], of which the first `preferred` rows count `PREFERRED` times.
        groups: [m, d] kinds of other rows, each of which counts as much as the next.
        decay: weight of the squared norm of a, in units of the rows' norm.
    """
    size = wanted.square().sum(1).mean().sqrt()
    share = torch.ones(len(wanted)).index_fill(0, torch.arange(min(preferred, len(wanted))), PREFERRED)
    share /= 4 * share.sum()
    rows = [group / size for group in groups if len(group)]
    a = torch.zeros(wanted.shape[1], requires_grad=True)
    b = torch.full((1,), -1.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([a, b], max_iter=ITERATIONS, history_size=15, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = share @ (1 - (wanted / size) @ a - b).clamp(min=0).square() + decay / 2 * a.square().sum()
        for group in rows:
            total = total + WEIGHT / len(group) * (1 + group @ a + b).clamp(min=0).square().sum() / 4
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return a.detach() / size, float(b.detach())
