"""Computes target values: per site, the change of the hidden state that makes the model predict the whole target.

This is `compute_z` of MEMIT (Meng et al. 2023, eq. 16) and v* of ROME (Meng et al. 2022, eq. 4), with two differences:
a fact has several sites, not only the last token of its subject, and there is no KL term, because the covariance and
the keys in force protect everything else when the change is spread over the weights (`memit.spread`).
The facts of a batch are independent problems that share tensors: the blocks below the change run once, each Adam step
runs the blocks above it at the positions that predict targets, and finished facts are left out of later steps.
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

SLACK = 0.9  # of its probability before the edit, which a target token that is not predicted at a site has to keep

Steps = Callable[[int, int], None]  # called with the number of steps done and the number of all


def unwatched(done: int, total: int) -> None:
    """Ignores progress."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Where a batch of facts is written.

    Attributes:
        fact: [s] the fact of each site.
        position: [k] the captured positions that are keys, as indices into `Activations.rows`.
        site: [k] the site of each key.
    """

    fact: Tensor
    position: Tensor
    site: Tensor


@dataclass(frozen=True, slots=True)
class Values:
    """Target values, as changes of what is there.

    Attributes:
        change: [s, d] float32, what to add to the output of the last edited block: MEMIT's delta_i.
        learned: [facts] bool, whether every target token became the greedy one in every context.
        missed: [p] bool, where another token than the target is still the greedy one, of facts that were not learned.
        steps: number of Adam steps taken.
    """

    change: Tensor
    learned: Tensor
    missed: Tensor
    steps: int


@dataclass(frozen=True, slots=True)
class _Predictions:
    """What the model predicts at the open positions, given a change.

    Attributes:
        logprob: [p] log-probability of each target token, with its gradient.
        probability: [p], without one.
        greedy: [p] bool, whether the target token is the most probable one.
    """

    logprob: Tensor
    probability: Tensor
    greedy: Tensor


@dataclass(frozen=True, slots=True)
class _OpenPositions:
    """The positions of the facts that are not finished.

    Attributes:
        above: the blocks above the last edited one, for these positions.
        hidden: [p, d] output of the last edited block.
        targets: [p] the token that should follow.
        number: [p] the index of each among all positions.
        fact: [p] the fact of each position.
        required: [p] the probability that its target needs.
        position, site: [k] as in `Sites`, as indices into these positions.
    """

    above: UpperBlocks
    hidden: Tensor
    targets: Tensor
    number: Tensor
    fact: Tensor
    required: Tensor
    position: Tensor
    site: Tensor

    def predict(self, model: EditableModel, change: Tensor) -> _Predictions:
        """Predicts with `change` [s, d] added at the sites; keys of one site share its row."""
        hidden = self.hidden.index_add(0, self.position, change[self.site].to(self.hidden.dtype))
        logits = model.logits(self.above(hidden))  # [p, vocabulary]
        logprob = -F.cross_entropy(logits, self.targets, reduction="none")
        return _Predictions(logprob, logprob.detach().exp(), logits.detach().argmax(-1) == self.targets)

    def without(self, finished: Tensor) -> _OpenPositions:
        """Leaves out the positions of facts that are `finished` [facts]."""
        keep = ~finished[self.fact]
        if keep.all():
            return self
        kept_keys = keep[self.position]
        return _OpenPositions(
            self.above.only(keep), self.hidden[keep], self.targets[keep], self.number[keep], self.fact[keep],
            self.required[keep], (keep.cumsum(0) - 1)[self.position[kept_keys]], self.site[kept_keys],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Problem:
    """What stays the same over the steps.

    Attributes:
        facts: number of facts.
        norm: [s] mean norm of the hidden state at each site before the change.
        rate: [s, 1] length of a unit of the optimised variable: learning_rate * norm / sqrt(d), so that a step of Adam,
            about 1 in each of d coordinates, is `learning_rate` of the state's norm long whatever the model.
        clamp: greatest length of a change, in units of `norm`.
        decay: weight of the squared length of a change, in units of `norm`.
    """

    sites: Sites
    facts: int
    norm: Tensor
    rate: Tensor
    clamp: float
    decay: float

    def loss(self, predictions: _Predictions, fact: Tensor, scaled: Tensor) -> Tensor:
        """Returns [facts] mean negative log-likelihood of targets, plus decay. Raises Unlearnable if not finite."""
        loss = -mean_by(predictions.logprob, fact, self.facts)
        loss = loss + self.decay * mean_by((scaled.norm(dim=1) / self.norm) ** 2, self.sites.fact, self.facts)
        if not torch.isfinite(loss).all():
            raise Unlearnable("the value of a fact diverged: its loss is not a number")
        return loss

    def step(self, optimizer: torch.optim.Optimizer, change: Tensor, loss: Tensor, finished: Tensor) -> None:
        """Steps down the `loss` [facts] of facts that are not `finished` [facts], inside the ball of radius `clamp`."""
        optimizer.zero_grad(set_to_none=True)
        # Facts share no row of `change` [s, d], so the gradient of the sum is each fact's own.
        loss[~finished].sum().backward()  # type: ignore[no-untyped-call]
        before = change.detach().clone()
        optimizer.step()
        with torch.no_grad():
            # Put back because Adam's momentum moves the rows of finished facts although their gradient is zero.
            change[finished[self.sites.fact]] = before[finished[self.sites.fact]]
            length = (change * self.rate).norm(dim=1)  # [s]
            change *= (self.clamp * self.norm / length.clamp(min=1e-9)).clamp(max=1.0)[:, None]


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

    A fact is finished once, in every context, each target token is the greedy one and probable enough: at a site at
    least `confidence`, elsewhere at least `SLACK` of what it was.

    Args:
        fact_of_row: [contexts] the fact of each context.
        learning_rate, clamp: in units of the hidden state's norm at the site.
        start: [s, d], the changes to begin with; by default zero.
        progress: called before each step with the steps taken and `steps`; what it raises ends the optimisation.

    Raises:
        Unlearnable: the loss is not a number.
    """
    problem = _problem(seen, sites, fact_of_row, learning_rate, clamp, decay)
    zeros = seen.hidden.new_zeros(len(sites.fact), seen.hidden.shape[1], dtype=torch.float32)
    change = (zeros if start is None else start / problem.rate).requires_grad_()  # [s, d], in units of `rate`
    optimizer = torch.optim.Adam([change], lr=1.0)
    open_, at_site = _all_positions(seen, sites, fact_of_row)
    missed = torch.zeros_like(at_site)
    scaled, learned = torch.zeros_like(change), torch.zeros(problem.facts, dtype=torch.bool, device=change.device)
    taken = 0
    for taken in range(1, steps + 1):
        progress(taken - 1, steps)
        scaled = change * problem.rate  # [s, d], in units of the hidden state
        predictions = open_.predict(seen.subject, scaled)
        if taken == 1:  # the optimiser has not moved yet, so these are the probabilities before it
            required = torch.where(at_site, confidence, SLACK * predictions.probability)
            open_ = replace(open_, required=required)
        learned, finished = _progress_of(predictions, open_, problem.facts)
        if bool(finished.all()) or taken == steps:
            missed[open_.number] = ~predictions.greedy & ~learned[open_.fact]
            break
        loss = problem.loss(predictions, open_.fact, scaled)
        problem.step(optimizer, change, loss, finished)
        open_ = open_.without(finished)
    return Values(scaled.detach(), learned, missed, taken)


def _problem(
    seen: Activations, sites: Sites, fact_of_row: Tensor, learning_rate: float, clamp: float, decay: float
) -> _Problem:
    hidden = seen.hidden[sites.position].float()  # [k, d]
    norm = mean_by(hidden.norm(dim=1), sites.site, len(sites.fact))  # [s]
    rate = (learning_rate * norm / hidden.shape[1] ** 0.5)[:, None]
    return _Problem(sites, int(fact_of_row.max()) + 1, norm, rate, clamp, decay)


def _all_positions(seen: Activations, sites: Sites, fact_of_row: Tensor) -> tuple[_OpenPositions, Tensor]:
    """Returns all p positions as open ones, with nothing required yet, and [p] bool, which of them are keys."""
    fact = fact_of_row[seen.rows]  # [p]
    at_site = torch.zeros_like(fact, dtype=torch.bool)
    at_site[sites.position] = True
    number = torch.arange(len(fact), device=fact.device)
    required = torch.empty(len(fact))
    positions = _OpenPositions(
        seen.above, seen.hidden, seen.targets, number, fact, required, sites.position, sites.site
    )  # fmt: skip
    return positions, at_site


def _progress_of(predictions: _Predictions, open_: _OpenPositions, facts: int) -> tuple[Tensor, Tensor]:
    """Returns [facts] bool, twice: which facts are learned, and which of those are finished.

    A fact without open positions is both, because it was finished at an earlier step.
    """
    learned = min_by(predictions.greedy.float(), open_.fact, facts) > 0
    finished = learned & (min_by(predictions.probability - open_.required, open_.fact, facts) >= 0)
    return learned, finished


def mean_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Returns [groups, ...] means of `values` [n, ...] by `group` [n]; zero for a group without values."""
    shape = (groups, *values.shape[1:])
    total = torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, group, values)
    counts = torch.bincount(group, minlength=groups).clamp(min=1).to(values.dtype)
    return total / counts.reshape(-1, *[1] * (values.ndim - 1))


def min_by(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Returns [groups] least of `values` [n] by `group` [n]; infinity for a group without values."""
    return torch.full((groups,), torch.inf, device=values.device).scatter_reduce(0, group, values, "amin")
