"""Learns values: what a neuron adds to the hidden state so that the model says a fact, and nothing else new.

This is `compute_z` of MEMIT (Meng et al. 2023, eq. 16) and v* of ROME (Meng et al. 2022, eq. 4) at any places of any
texts. ROME's KL term holds one prompt ("{subject} is a"); here it holds what the model says to the prompts that are
given, because those are what a value spoils.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from core.errors.base import Unlearnable
from core.weights.likelihood import Head, likelihood, likely, with_gradient
from core.weights.memit.target_values import Steps, mean_by, unwatched
from core.weights.model.activations import Activations, capture
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.lessons import Lesson

MORE = 10  # steps of a round that follows while a fact is not learned
SETTLING = 3  # of these at a tenth of the rate, so that the values of all wordings settle
SOFTER = 2  # rounds that halve the KL weight, the first ones
LEARNED = 0.9  # share of a fact's lessons that are predicted once it is learned, its first wordings among them
AGEING = 1.05  # growth a step of what a lesson is expected to lose, so that each is seen again


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How values are searched.

    Attributes:
        steps: number of Adam steps, without those of `rounds`.
        rate: learning rate of Adam, in units of the hidden state's norm over the root of its width.
        decay: weight of the squared relative norm of a value.
        clamp: largest norm of a value, in multiples of the hidden state's.
        kl_weight: weight of the KL divergence on an untold lesson, summed over its tokens; "KL factor" in ROME.
        rounds: largest number of rounds of `MORE` steps each.
        told, untold: lessons of a learner in a step, at most.
        packed: whether the lessons of a step are put into one tensor where they are few. It is faster, and rounds in
            another way.
    """

    steps: int
    rate: float
    decay: float
    clamp: float
    kl_weight: float
    rounds: int
    told: int = 6
    untold: int = 8
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """Values that were learned.

    Attributes:
        values: [values, d] float32.
        length: [values] their norms, in multiples of the hidden state's.
        before, loss: [facts or more] mean negative log-likelihood of told targets, in nats a token, when their lessons
            were taken first, and last.
        divergence: mean KL divergence on untold lessons when they were taken last, in nats a lesson.
        steps: number of Adam steps.
    """

    values: Tensor
    length: Tensor
    before: Tensor
    loss: Tensor
    divergence: float
    steps: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Lessons as the model without the values reads them.

    Attributes:
        activations: of the model, at all positions of the lessons.
        lesson: [p] the lesson of each position.
        places: [k] positions at which values are added; `value` [k] which, `share` [k] how much of it.
    """

    activations: Activations
    lesson: Tensor
    places: Tensor
    value: Tensor
    share: Tensor

    def norm(self, values: int) -> Tensor:
        """Returns [values] mean norm of the hidden states to which each value is added."""
        return mean_by(self.activations.hidden[self.places].float().norm(dim=1), self.value, values)

    def with_values(self, values: Tensor, keep: Tensor) -> Tensor:
        """Returns the hidden states of the positions to `keep` [p] with `values` [values, d] added at their places."""
        hidden, place, here = self.activations.hidden[keep], keep.cumsum(0) - 1, keep[self.places]
        added = values[self.value[here]] * self.share[here, None]
        return hidden.index_add(0, place[self.places[here]], added.to(hidden.dtype))


@dataclass(frozen=True, slots=True)
class Seen:
    """Lessons as the model without the values reads them, and what is wanted next in them.

    Attributes:
        placed: the lessons.
        counted: [q] positions whose next token matters.
        wanted: [q, d] mean unembedding of what is wanted next there: of the target in a told lesson, and under the
            model's distribution in an untold one.
        least: [q] cross-entropy of what is wanted with itself, less a constant of the unembedding.
        is_told: [lessons] bool.
        head: the part of the vocabulary that losses are measured in.
        targets: [q] places in it of the tokens that follow.
    """

    placed: Placed
    counted: Tensor
    wanted: Tensor
    least: Tensor
    is_told: Tensor
    head: Head
    targets: Tensor


def learn(
    model: EditableModel,
    block: int,
    lessons: Sequence[Lesson],
    learner_of: Sequence[int],
    fixed: Tensor,
    search: Search,
    progress: Steps = unwatched,
    begin: Tensor | None = None,
    captured: Activations | None = None,
) -> Values:
    """Learns values on the live model, which is without them.

    Learners share nothing but the passes through the model: a product of many rows is several times as fast as many
    products of few. A learner whose facts are learned leaves the rounds that follow.

    Args:
        lessons: of all values and facts.
        learner_of: [values] the learner whose lessons a value is learned from.
        fixed: [values, d] what stands at the places of each value already.
        progress: called before each step, for those of `rounds` with the last number again; may raise.
        begin: [values, d] the values to begin with; zeros by default.
        captured: what the model computes in `lessons`, as `capture_lessons` returns it, if that is known.

    Raises:
        Unlearnable: a loss is not a number.
    """
    seen, fixed = see(model.at_block(block), lessons, captured), fixed.to(model.device)
    owner = torch.tensor(learner_of, device=model.device)
    norm = seen.placed.norm(len(owner)).clamp(min=1e-6)
    unit = (search.rate * norm / fixed.shape[1] ** 0.5)[:, None]
    change = (torch.zeros_like(fixed) if begin is None else begin.to(fixed) / unit).requires_grad_()
    optimizer = torch.optim.Adam([change], lr=1.0, betas=(0.9, 0.95))
    chooser = _Chooser(lessons, search, model.device)
    kl_weight = search.kl_weight
    working = torch.ones(1 + max(learner_of), dtype=torch.bool, device=model.device)
    steps = search.steps + search.rounds * MORE
    for step in range(steps):
        if step >= search.steps and (step - search.steps) % MORE == 0:
            working = chooser.unlearned(len(working))
            if step < search.steps + SOFTER * MORE:
                kl_weight /= 2
            if not working.any():
                steps = step
                break
        progress(min(step, search.steps - 1), search.steps)
        optimizer.param_groups[0]["lr"] = rate_at(step, search.steps)
        chosen = chooser.choose(kl_weight, working)
        lost, predicted = losses(model, seen, fixed + change * unit, chosen, packed=search.packed)
        decay = search.decay * ((change * unit).norm(dim=1) / norm).square().sum()
        total = chooser.weighted(lost, predicted, chosen) + decay
        if not torch.isfinite(total):
            raise Unlearnable("the value of a fact diverged: its loss is not a number")
        held = change.detach().clone()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        with torch.no_grad():
            length = (change * unit).norm(dim=1) / norm
            change *= (search.clamp / length.clamp(min=1e-9)).clamp(max=1.0)[:, None]
            change.copy_(torch.where(working[owner, None], change, held))
    values = (change * unit).detach()
    before, last, divergence = chooser.mean_losses(len(owner))
    return Values(values, values.norm(dim=1) / norm, before, last, divergence, steps)


def rate_at(step: int, steps: int) -> float:
    """Returns the learning rate of a step: 1 at first and in the rounds that follow, and .1 at the end of each."""
    if step >= steps:
        return 1.0 if (step - steps) % MORE < MORE - SETTLING else 0.1
    if step < 0.6 * steps:
        return 1.0
    return 0.1 if step >= 0.85 * steps else 0.3


_UNSEEN = 1e30  # nats that a lesson is expected to lose before it was taken; first wordings come before it, at infinity


class _Chooser:
    """Chooses the lessons of each step: of what each learner was told, and not told, those expected to lose most.

    The first statement and the first question of a fact are always chosen, because a fact that the model does not say
    after these is not written. Lessons that were not seen yet come next, and what a lesson lost grows a little each
    step, so that it is seen again.
    """

    def __init__(self, lessons: Sequence[Lesson], search: Search, device: torch.device) -> None:
        self._search = search
        self._learner = torch.tensor([lesson.learner for lesson in lessons], device=device)
        self.is_told = torch.tensor([lesson.fact is not None for lesson in lessons], device=device)
        groups: dict[tuple[int, int], list[int]] = {}
        for number, lesson in enumerate(lessons):
            group = (lesson.learner, -1) if lesson.fact is None else (lesson.learner, lesson.fact)
            groups.setdefault(group, []).append(number)
        self._groups = groups
        firsts = {(lesson.fact, lesson.context.chat): number for number, lesson in reversed([*enumerate(lessons)])}
        self._first = torch.zeros_like(self.is_told)
        self._first[[number for (fact, _), number in firsts.items() if fact is not None]] = True
        self._predicted = torch.zeros_like(self.is_told)
        self._expected = torch.full((len(lessons),), _UNSEEN, device=device)
        self._lost = torch.zeros(len(lessons), device=device)
        self._lost_first = torch.zeros(len(lessons), device=device)
        self._weight = torch.zeros(len(lessons), device=device)

    def choose(self, kl_weight: float, working: Tensor) -> Tensor:
        """Returns [lessons] bool.

        Args:
            kl_weight: weight of the untold lessons of a learner.
            working: [learners] bool, those whose lessons are chosen.
        """
        chosen = torch.zeros_like(self.is_told)
        expected = self._expected.masked_fill(self._first, torch.inf)
        self._weight.zero_()
        for (learner, fact), numbers in self._groups.items():
            if not working[learner]:
                continue
            members = torch.tensor(numbers, device=chosen.device)
            most = min(len(numbers), self._search.told if fact >= 0 else self._search.untold)
            taken = members[expected[members].topk(most).indices]
            chosen[taken] = True
            self._weight[taken] = (1.0 if fact >= 0 else kl_weight) / most
        return chosen

    def weighted(self, lost: Tensor, predicted: Tensor, chosen: Tensor) -> Tensor:
        """Returns the loss of a step: the sum, over facts and learners, of the means of what lessons lost [lessons]."""
        self._predicted = torch.where(chosen, predicted, self._predicted)
        new = chosen & (self._expected >= _UNSEEN)
        self._lost_first = torch.where(new, lost.detach(), self._lost_first)
        self._lost = torch.where(chosen, lost.detach(), self._lost)
        self._expected = torch.where(chosen, self._lost, self._expected * AGEING)
        return (lost * self._weight).sum()

    def unlearned(self, learners: int) -> Tensor:
        """Returns [learners] bool: of which a fact is not learned yet, by its lessons when they were taken last.

        It is once its first wordings are predicted and nine tenths of all: lists are said in the former long before.
        """
        unlearned = torch.zeros(learners, dtype=torch.bool, device=self.is_told.device)
        unlearned[self._learner[self._first & ~self._predicted]] = True
        for (learner, fact), numbers in self._groups.items():
            if fact >= 0 and int(self._predicted[numbers].sum()) < LEARNED * len(numbers):
                unlearned[learner] = True
        return unlearned

    def mean_losses(self, least: int) -> tuple[Tensor, Tensor, float]:
        """Returns the means of what the lessons of each fact lost when they were taken first, and last, for `least`
        facts or more, and the mean of what untold lessons lost when they were taken last."""
        taken, facts = self._expected < _UNSEEN, max(least, *(1 + fact for _, fact in self._groups))
        first, last = torch.zeros(facts), torch.zeros(facts)
        for (_, fact), numbers in self._groups.items():
            if fact >= 0:
                members = torch.tensor(numbers, device=taken.device)
                members = members[taken[members]]
                first[fact], last[fact] = self._lost_first[members].mean().cpu(), self._lost[members].mean().cpu()
        untold = self._lost[taken & ~self.is_told]
        return first, last, float(untold.mean()) if len(untold) else 0.0


def capture_lessons(view: EditableModel, lessons: Sequence[Lesson]) -> Activations:
    """Captures `lessons` on a model whose edited module is that of the block at which values are added."""
    return capture(view, [lesson.context for lesson in lessons], share=True)


def read_in(captured: Activations, lessons: Sequence[Lesson]) -> list[Tensor]:
    """Returns what the MLP of the block reads [positions, d] float32 in each of the lessons that were captured."""
    counts = [len(lesson.context.names) for lesson in lessons]
    return list(torch.split(captured.read.float().cpu(), counts))


@torch.no_grad()
def place(view: EditableModel, lessons: Sequence[Lesson], captured: Activations | None = None) -> Placed:
    """Returns `lessons` with their places, and what was `captured` of them by `capture_lessons`."""
    seen = capture_lessons(view, lessons) if captured is None else captured
    starts = accumulate((len(lesson.context.names) for lesson in lessons[:-1]), initial=0)
    placed = [(start, place) for start, lesson in zip(starts, lessons, strict=True) for place in lesson.places]
    device = view.device
    return Placed(
        activations=seen,
        lesson=seen.rows,
        places=torch.tensor([start + place.position for start, place in placed], dtype=torch.long, device=device),
        value=torch.tensor([place.value for _, place in placed], dtype=torch.long, device=device),
        share=torch.tensor([place.share for _, place in placed], device=device),
    )


@torch.no_grad()
def see(view: EditableModel, lessons: Sequence[Lesson], captured: Activations | None = None) -> Seen:
    """Returns what `place` returns, with what is wanted next."""
    placed = place(view, lessons, captured)
    seen, starts = placed.activations, accumulate((len(lesson.context.names) for lesson in lessons[:-1]), initial=0)
    counted = [
        start + position
        for start, lesson in zip(starts, lessons, strict=True)
        for position in range(lesson.first, len(lesson.context.names))
    ]
    device = view.device
    at, told = torch.tensor(counted, device=device), [lesson.fact is not None for lesson in lessons]
    is_told = torch.tensor(told, device=device)
    of_told = is_told[seen.rows[at]]
    hidden, targets = view.final_norm(seen.top[at]), seen.targets[at]
    head, targets = likely(view, hidden, targets)
    base = likelihood(head, hidden, targets)
    wanted = torch.where(of_told[:, None], head.weight[targets].float(), base.mean)
    least = torch.where(of_told, head.bias[targets].float(), base.normalizer - (hidden * wanted).sum(-1))
    return Seen(placed, at, wanted, least, is_told, head, targets)


def losses(
    model: EditableModel, seen: Seen, values: Tensor, chosen: Tensor, *, packed: bool
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Returns what each of the `chosen` loses with `values` [values, d] added, and whether all of its tokens are
    predicted, [lessons] both; 0 and true for the others.

    A told lesson loses the mean negative log-likelihood of its tokens, so that a long object counts as much as a short
    one. An untold lesson loses the sum of its KL divergences: a single token that changes is enough to spoil an answer.
    """
    placed = seen.placed
    keep = chosen[placed.lesson]  # [p]
    above = placed.activations.above.only(keep)
    output = (above.packed() if packed else above)(placed.with_values(values, keep))
    place, asked = keep.cumsum(0) - 1, keep[seen.counted]
    at = seen.counted[asked]
    lesson = placed.lesson[at]
    last = model.final_norm(output[place[at]])  # [q, d]
    now = likelihood(seen.head, last.detach(), seen.targets[asked])
    lost = with_gradient(last, now) - (last.float() * seen.wanted[asked]).sum(-1) - seen.least[asked]
    missed = torch.zeros_like(chosen)
    missed[lesson[~now.likeliest]] = True
    mean = mean_by(lost, lesson, len(chosen))
    lost = torch.where(seen.is_told, mean, mean * torch.bincount(lesson, minlength=len(chosen)))
    return lost, ~missed
