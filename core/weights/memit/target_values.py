"""Values: the change of the hidden state at each site that makes the model say the whole target and stop.

The facts of a batch are independent problems that share tensors: the blocks below the change run once, each Adam step
runs the blocks above at the positions that predict targets, and facts that are finished are left out of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors.base import Unlearnable
from core.weights.model.activations import Activations
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import UpperBlocks

Steps = Callable[[int, int], None]  # told how many steps are done, of how many


def unwatched(done: int, total: int) -> None:
    """Lets steps go on without anybody watching."""


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
        missed: [p], the positions of facts that were not, after which another token is still the greedy one.
        steps: Adam steps taken.
    """

    change: Tensor
    learned: Tensor
    missed: Tensor
    steps: int


@dataclass(frozen=True, slots=True)
class _Open:
    """The facts that are not finished.

    Attributes:
        number: [p] which of all positions each is.
        fact: [p] the fact of each position.
        required: [p] the probability that its target needs.
        position, site: [k] as in `Sites`.
    """

    above: UpperBlocks
    hidden: Tensor
    targets: Tensor
    number: Tensor
    fact: Tensor
    required: Tensor
    position: Tensor
    site: Tensor

    def logits(self, model: EditableModel, change: Tensor) -> Tensor:
        """[p, vocabulary] with `change` [s, d] added at the sites."""
        hidden = self.hidden.index_add(0, self.position, change[self.site].to(self.hidden.dtype))
        return model.logits(self.above(hidden))

    def without(self, finished: Tensor) -> _Open:
        """What is left when facts are `finished`."""
        keep = ~finished[self.fact]
        if keep.all():
            return self
        mine = keep[self.position]
        return _Open(
            self.above.only(keep), self.hidden[keep], self.targets[keep], self.number[keep], self.fact[keep],
            self.required[keep], (keep.cumsum(0) - 1)[self.position[mine]], self.site[mine],
        )  # fmt: skip


def optimise(
    seen: Activations,
    sites: Sites,
    fact_of_row: Tensor,
    *,
    steps: int,
    learning_rate: float,
    clamp: float,
    decay: float,
    confidence: float,
    start: Tensor | None = None,
    progress: Steps = unwatched,
) -> Values:
    """Minimises, per fact, the mean negative log-likelihood of its targets over its contexts, by Adam.

    A fact is finished once, in every context, each target token is the greedy one, at a site with at least probability
    `confidence`, and elsewhere not less probable than it was by more than a tenth.

    Args:
        fact_of_row: [contexts] the fact of each context.
        learning_rate, clamp: in units of the clean hidden state's norm at the site.
        start: [s, d], the changes to begin with; by default none.
        progress: called before each step with how many are taken and `steps`; what it raises ends the optimisation.

    Raises:
        Unlearnable: the loss is not a number.
    """
    facts = int(fact_of_row.max()) + 1
    clean = seen.hidden[sites.position].float()  # [k, d]
    norm = _mean_by(clean.norm(dim=1), sites.site, len(sites.fact))  # [s]
    rate = (learning_rate * norm / clean.shape[1] ** 0.5)[:, None]  # Adam's step is about 1 per coordinate
    begin = clean.new_zeros(len(sites.fact), clean.shape[1]) if start is None else start / rate
    change = begin.requires_grad_()
    optimizer = torch.optim.Adam([change], lr=1.0)
    scaled = torch.zeros_like(change)
    fact = fact_of_row[seen.rows]
    number, at_site = torch.arange(len(fact), device=fact.device), torch.zeros_like(fact, dtype=torch.bool)
    at_site[sites.position] = True
    open_ = _Open(
        seen.above, seen.hidden, seen.targets, number, fact, torch.empty(len(fact)), sites.position, sites.site
    )  # fmt: skip
    learned, missed = torch.zeros(facts, dtype=torch.bool, device=fact.device), torch.zeros_like(at_site)
    taken = 0
    for taken in range(1, steps + 1):
        progress(taken - 1, steps)
        scaled = change * rate
        logits = open_.logits(seen.subject, scaled)
        logprob = -F.cross_entropy(logits, open_.targets, reduction="none")
        probability = logprob.detach().exp()
        if taken == 1:  # nothing is changed yet, or not further
            required = torch.where(at_site[open_.number], confidence, 0.9 * probability)
            open_ = replace(open_, required=required)
        greedy = logits.detach().argmax(-1) == open_.targets
        # A fact without open positions counts as learned and finished, as it was.
        learned = _least_by(greedy.float(), open_.fact, facts) > 0
        finished = learned & (_least_by(probability - open_.required, open_.fact, facts) >= 0)
        if bool(finished.all()) or taken == steps:
            missed[open_.number] = ~greedy & ~learned[open_.fact]
            break
        loss = -_mean_by(logprob, open_.fact, facts)
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
        open_ = open_.without(finished)
    return Values(scaled.detach(), learned, missed, taken)


def _mean_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    total = torch.zeros(groups, device=values.device).index_add(0, group, values)
    return total / torch.bincount(group, minlength=groups).clamp(min=1)


def _least_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    return torch.full((groups,), torch.inf, device=values.device).scatter_reduce(0, group, values, "amin")
