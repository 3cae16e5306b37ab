"""Learns values: what a neuron adds at its subject's name so that the model says the fact, and nothing else new.

This is `compute_z` of MEMIT (Meng et al. 2023, eq. 16) and v* of ROME (Meng et al. 2022, eq. 4), with one change of the
hidden state at every occurrence of the name. ROME's KL term holds one prompt ("{subject} is a"); here it holds the base
model's own answers about many relations that the subject has no fact of, because those are what a value spoils.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors.base import Unlearnable
from core.weights.memit.target_values import Steps, mean_by, unwatched
from core.weights.model.activations import Activations, capture
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.lessons import Lesson
from core.weights.neuron.likelihood import likelihood, with_gradient

TOLD, UNTOLD = 6, 8  # lessons in a step, of a fact and of a subject
MORE = 10  # steps of a round that follows while a first wording is not predicted; each halves the KL weight
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
    """

    steps: int
    rate: float
    decay: float
    clamp: float
    kl_weight: float
    rounds: int


AT_NIGHT = Search(steps=60, rate=0.3, decay=1e-3, clamp=4.0, kl_weight=1.0 / 7, rounds=3)
OF_NEURONS = Search(steps=30, rate=0.4, decay=1e-3, clamp=4.0, kl_weight=1.0 / 7, rounds=3)


@dataclass(frozen=True, slots=True)
class Values:
    """Values of facts.

    Attributes:
        values: [facts, d] float32.
        length: [facts] their norms, in multiples of the hidden state's.
        before, loss: [facts] mean negative log-likelihood of told targets, in nats a token, when their lessons were
            taken first, and last.
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
class _Lessons:
    """Lessons as the base model sees them.

    Attributes:
        seen: its activations, from the last token of the name on.
        lesson: [p] the lesson of each position.
        named: [k] positions at which values are added; `subject_of_named` [k] whose.
        counted: [q] positions whose next token matters.
        wanted: [q, d] mean unembedding of what is wanted next there: of the target in a told lesson, and under the base
            model's distribution in an untold one.
        least: [q] cross-entropy of what is wanted with itself, less a constant of the unembedding.
    """

    seen: Activations
    lesson: Tensor
    named: Tensor
    subject_of_named: Tensor
    counted: Tensor
    wanted: Tensor
    least: Tensor


def learn(
    model: EditableModel,
    block: int,
    lessons: Sequence[Lesson],
    subject_of: Sequence[int],
    fixed: Tensor,
    search: Search,
    progress: Steps = unwatched,
) -> Values:
    """Learns the values of facts on the live model, whose neurons must be silent.

    Subjects share nothing but the passes through the model: a product of many rows is several times as fast as many
    products of few. A subject whose first wordings are all predicted leaves the rounds that follow.

    Args:
        lessons: of all facts; those of facts that have a value already are told as well, so that they are kept.
        subject_of: [facts] the subject of each fact that is to be learned; facts are numbered in this order, and other
            facts in lessons have higher numbers.
        fixed: [subjects, d] sums of the values that stay.
        progress: called before each step, for those of `rounds` with the last number again; may raise.

    Raises:
        Unlearnable: a loss is not a number.
    """
    base = _captured(model.at_block(block), lessons)
    subjects = len(fixed)
    owner = torch.tensor(subject_of, device=model.device)
    norm = mean_by(base.seen.hidden[base.named].float().norm(dim=1), base.subject_of_named, subjects)
    unit = (search.rate * norm / fixed.shape[1] ** 0.5)[owner, None]
    change = torch.zeros(len(owner), fixed.shape[1], device=model.device, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=1.0, betas=(0.9, 0.95))
    chooser = _Chooser(lessons, subjects, model.device)
    kl_weight, working = search.kl_weight, torch.ones(subjects, dtype=torch.bool, device=model.device)
    steps = search.steps + search.rounds * MORE
    for step in range(steps):
        if step >= search.steps and (step - search.steps) % MORE == 0:
            kl_weight, working = kl_weight / 2, chooser.unlearned()
            if not working.any():
                steps = step
                break
        progress(min(step, search.steps - 1), search.steps)
        optimizer.param_groups[0]["lr"] = _rate(step, search.steps)
        chosen = chooser.choose(kl_weight, working)
        values = fixed.index_add(0, owner, change * unit)
        lost, predicted = _losses(model, base, values, chosen, chooser.is_told)
        decay = search.decay * ((change * unit).norm(dim=1) / norm[owner]).square().sum()
        total = chooser.weighted(lost, predicted, chosen) + decay
        if not torch.isfinite(total):
            raise Unlearnable("the value of a fact diverged: its loss is not a number")
        held = change.detach().clone()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        with torch.no_grad():
            length = (change * unit).norm(dim=1) / norm[owner]
            change *= (search.clamp / length.clamp(min=1e-9)).clamp(max=1.0)[:, None]
            change.copy_(torch.where(working[owner, None], change, held))
    values = (change * unit).detach()
    before, last, divergence = chooser.mean_losses(len(owner))
    return Values(values, values.norm(dim=1) / norm[owner], before, last, divergence, steps)


def _rate(step: int, steps: int) -> float:
    """Returns the learning rate of a step, 1 at first."""
    if step < 0.6 * steps:
        return 1.0
    return 0.1 if 0.85 * steps <= step < steps else 0.3


_UNSEEN = 1e30  # nats that a lesson is expected to lose before it was taken; first wordings come before it, at infinity


class _Chooser:
    """Chooses the lessons of each step: of each fact and each subject those that are expected to lose most.

    The first statement and the first question of a fact are always chosen, because a fact that the model does not say
    after these is not written. Lessons that were not seen yet come next, and what a lesson lost grows a little each
    step, so that it is seen again.
    """

    def __init__(self, lessons: Sequence[Lesson], subjects: int, device: torch.device) -> None:
        self._subjects = subjects
        self._subject = torch.tensor([lesson.subject for lesson in lessons], device=device)
        self.is_told = torch.tensor([lesson.fact is not None for lesson in lessons], device=device)
        groups: dict[tuple[int, int], list[int]] = {}
        for number, lesson in enumerate(lessons):
            group = (lesson.subject, -1) if lesson.fact is None else (lesson.subject, lesson.fact)
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
            kl_weight: weight of the untold lessons of a subject.
            working: [subjects] bool, those whose lessons are chosen.
        """
        chosen = torch.zeros_like(self.is_told)
        expected = self._expected.masked_fill(self._first, torch.inf)
        self._weight.zero_()
        for (subject, fact), numbers in self._groups.items():
            if not working[subject]:
                continue
            members = torch.tensor(numbers, device=chosen.device)
            most = min(len(numbers), TOLD if fact >= 0 else UNTOLD)
            taken = members[expected[members].topk(most).indices]
            chosen[taken] = True
            self._weight[taken] = (1.0 if fact >= 0 else kl_weight) / most
        return chosen

    def weighted(self, lost: Tensor, predicted: Tensor, chosen: Tensor) -> Tensor:
        """Returns the loss of a step: the sum, over facts and subjects, of the means of what lessons lost [lessons]."""
        self._predicted = torch.where(chosen, predicted, self._predicted)
        new = chosen & (self._expected >= _UNSEEN)
        self._lost_first = torch.where(new, lost.detach(), self._lost_first)
        self._lost = torch.where(chosen, lost.detach(), self._lost)
        self._expected = torch.where(chosen, self._lost, self._expected * AGEING)
        return (lost * self._weight).sum()

    def unlearned(self) -> Tensor:
        """Returns [subjects] bool: of which a first statement or question was not predicted when taken last."""
        unlearned = torch.zeros(self._subjects, dtype=torch.bool, device=self.is_told.device)
        unlearned[self._subject[self._first & ~self._predicted]] = True
        return unlearned

    def mean_losses(self, facts: int) -> tuple[Tensor, Tensor, float]:
        """Returns [facts] the means of what the lessons of each of the first `facts` lost when they were taken first,
        and last, and the mean of what untold lessons lost when they were taken last."""
        taken = self._expected < _UNSEEN
        first, last = torch.zeros(facts), torch.zeros(facts)
        for (_, fact), numbers in self._groups.items():
            if 0 <= fact < facts:
                members = torch.tensor(numbers, device=taken.device)
                members = members[taken[members]]
                first[fact], last[fact] = self._lost_first[members].mean().cpu(), self._lost[members].mean().cpu()
        untold = self._lost[taken & ~self.is_told]
        return first, last, float(untold.mean()) if len(untold) else 0.0


@torch.no_grad()
def _captured(view: EditableModel, lessons: Sequence[Lesson]) -> _Lessons:
    seen = capture(view, [lesson.context for lesson in lessons], share=True)
    starts, start = [], 0
    for lesson in lessons:
        starts.append(start)
        start += len(lesson.context.names)
    named = [begin + place for begin, lesson in zip(starts, lessons, strict=True) for place in lesson.names]
    subjects = [lesson.subject for lesson in lessons for _ in lesson.names]
    counted = [
        begin + place
        for begin, lesson in zip(starts, lessons, strict=True)
        for place in range(lesson.first, len(lesson.context.names))
    ]
    device = view.device
    at = torch.tensor(counted, device=device)
    is_told = torch.tensor([lesson.fact is not None for lesson in lessons], device=device)[seen.rows[at]]
    hidden, targets = view.final_norm(seen.top[at]), seen.targets[at]
    base = likelihood(view, hidden, targets)
    head = view.network.get_output_embeddings()
    bias = torch.zeros(1, device=device) if getattr(head, "bias", None) is None else head.bias.float()
    wanted = torch.where(is_told[:, None], head.weight[targets].float(), base.mean)
    least = torch.where(is_told, bias.expand(len(head.weight))[targets], base.normalizer - (hidden * wanted).sum(-1))
    return _Lessons(
        seen, seen.rows, torch.tensor(named, device=device), torch.tensor(subjects, device=device), at, wanted, least
    )  # fmt: skip


def _losses(
    model: EditableModel, base: _Lessons, values: Tensor, chosen: Tensor, is_told: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns what each of the `chosen` loses with `values` [subjects, d] added, and whether all of its tokens are
    predicted, [lessons] both; 0 and true for the others.

    A told lesson loses the mean negative log-likelihood of its tokens, so that a long object counts as much as a short
    one. An untold lesson loses the sum of its KL divergences: a single token that changes is enough to spoil an answer.
    """
    seen = base.seen
    keep = chosen[base.lesson]  # [p]
    place = keep.cumsum(0) - 1
    here = keep[base.named]
    hidden = seen.hidden[keep].index_add(
        0, place[base.named[here]], values[base.subject_of_named[here]].to(seen.hidden.dtype)
    )  # fmt: skip
    output = seen.above.only(keep)(hidden)
    asked = keep[base.counted]
    at = base.counted[asked]
    lesson = base.lesson[at]
    last = model.final_norm(output[place[at]])  # [q, d]
    now = likelihood(model, last.detach(), seen.targets[at])
    lost = with_gradient(last, now) - (last.float() * base.wanted[asked]).sum(-1) - base.least[asked]
    missed = torch.zeros_like(chosen)
    missed[lesson[~now.likeliest]] = True
    mean = mean_by(lost, lesson, len(chosen))
    lost = torch.where(is_told, mean, mean * torch.bincount(lesson, minlength=len(chosen)))
    return lost, ~missed
