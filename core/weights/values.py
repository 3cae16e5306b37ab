"""Values: the change of the hidden state at each site that makes the model say the whole target and stop.

All facts of a batch are independent problems in one padded tensor: the blocks below the change run once, each Adam
step runs only the blocks above, and finished facts take no further steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import Unlearnable
from core.weights.capture import Capture
from core.weights.subject import Subject


@dataclass(frozen=True, slots=True)
class Sites:
    """Where a batch of facts is to be moved.

    Attributes:
        fact: [s] the fact of each site.
        position: [k] the captured positions that are keys, as indices into `Capture.rows`.
        site: [k] the site of each key.
    """

    fact: Tensor
    position: Tensor
    site: Tensor


@dataclass(frozen=True, slots=True)
class Values:
    """Solved changes.

    Attributes:
        change: [s, d] float32, what to add to the output of the last edited block.
        learned: per fact, whether every target token became the greedy one in every context.
        steps: Adam steps taken.
    """

    change: Tensor
    learned: Tensor
    steps: int


def optimise(subject: Subject, seen: Capture, sites: Sites, fact_of_row: Tensor, *, steps: int, learning_rate: float,
             clamp: float, decay: float, confidence: float) -> Values:  # fmt: skip
    """Minimises, per fact, the mean negative log-likelihood of its targets over its contexts, by Adam.

    A fact is finished once, in every context, each target token is the greedy one, at a site with at least probability
    `confidence`, and elsewhere not less probable than it was by more than a tenth.

    Args:
        fact_of_row: [contexts] the fact of each context.
        learning_rate, clamp: in units of the clean hidden state's norm at the site.

    Raises:
        Unlearnable: the loss is not a number.
    """
    facts = int(fact_of_row.max()) + 1
    rows, columns = seen.rows[sites.position], seen.columns[sites.position]
    clean = seen.hidden[rows, columns].float()  # [k, d]
    norm = _mean_by(clean.norm(dim=1), sites.site, len(sites.fact))  # [s]
    change = torch.zeros(len(sites.fact), clean.shape[1], device=clean.device, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=1.0)
    rate = (learning_rate * norm / clean.shape[1] ** 0.5)[:, None]  # Adam's step is about 1 per coordinate
    scaled = torch.zeros_like(change)
    fact_of_position = fact_of_row[seen.rows]
    with torch.no_grad():
        required = 0.9 * _logprob(subject, seen, rows, columns, torch.zeros_like(clean))[0].exp()
        required[sites.position] = confidence
    learned = torch.zeros(facts, dtype=torch.bool, device=clean.device)
    taken = 0
    for taken in range(1, steps + 1):
        scaled = change * rate
        logprob, greedy = _logprob(subject, seen, rows, columns, scaled[sites.site])
        learned = _least_by(greedy.float(), fact_of_position, facts) > 0
        finished = learned & (_least_by(logprob.detach().exp() - required, fact_of_position, facts) >= 0)
        if bool(finished.all()) or taken == steps:
            break
        loss = -_mean_by(logprob, fact_of_position, facts)
        loss = loss + decay * _mean_by((scaled.norm(dim=1) / norm) ** 2, sites.fact, facts)
        if not torch.isfinite(loss).all():
            raise Unlearnable("the value of a fact diverged: its loss is not a number")
        optimizer.zero_grad(set_to_none=True)
        loss[~finished].sum().backward()  # type: ignore[no-untyped-call]
        held = change.detach().clone()
        optimizer.step()
        with torch.no_grad():
            change[finished[sites.fact]] = held[finished[sites.fact]]
            length = (change * rate).norm(dim=1)
            change *= (clamp * norm / length.clamp(min=1e-9)).clamp(max=1.0)[:, None]
    return Values(scaled.detach(), learned, taken)


def _logprob(subject: Subject, seen: Capture, rows: Tensor, columns: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """[p] log-probability of each target token with `change` [k, d] added, and whether it is the greedy one."""
    hidden = seen.hidden.index_put((rows, columns), change.to(seen.hidden.dtype), accumulate=True)
    logits = subject.logits(seen.above(hidden)[seen.rows, seen.columns])
    logprob = -F.cross_entropy(logits, seen.targets, reduction="none")
    return logprob, logits.detach().argmax(-1) == seen.targets


def _mean_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    total = torch.zeros(groups, device=values.device).index_add(0, group, values)
    return total / torch.bincount(group, minlength=groups)


def _least_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    return torch.full((groups,), torch.inf, device=values.device).scatter_reduce(0, group, values, "amin")
