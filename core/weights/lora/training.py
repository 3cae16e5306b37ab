"""Consolidates facts: trains a LoRA (Hu et al. 2022) that predicts them without their edits.

Mini-batches over the facts' contexts, loss on the target tokens only, beside rehearsal: texts on which the adapted
model has to predict what the base model does (KL divergence from it), so that locality is kept. Facts that were
withdrawn are unlearned the same way, by rehearsing what the base model answers to their prompts. Steps alternate
between weights without the facts' edits, because in the end the adapter has to carry them alone, and weights with the
edits at their next scale, because edit and adapter together must not overshoot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor

from core.errors.base import Unlearnable
from core.policy import Training
from core.weights.deltas.fixed_point import Delta
from core.weights.lora.adapter import attach_adapter, extract_delta, install_base, parameter_groups, set_first_rows
from core.weights.lora.initialisation import directions
from core.weights.lora.losses import Losses, Rehearsed, losses_of, rehearse
from core.weights.lora.sampler import HardExampleSampler
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.lower_layers import LowerLayerCache, below

WARM_UP = 10  # steps
AGAIN = 40  # steps in which a context of what adapters carry comes once on average; what comes less often fades
COOL_DOWN = 40  # steps after all is learned: stopped at full rate, an adapter stays where it jitters

Progress = Callable[[int, int, float], None]  # steps done, most steps, loss


@dataclass(frozen=True, slots=True)
class Trained:
    """An adapter.

    Attributes:
        delta: its exact factors, `rank` columns in every module.
        steps: number of steps taken.
        first_loss, last_loss: mean negative log-likelihood of target tokens in the first batch and the last epoch.
        divergence: mean KL divergence from the base model in the last epoch.
    """

    delta: Delta
    steps: int
    first_loss: float
    last_loss: float
    divergence: float


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one step trains on: indices into the samplers of `_Curriculum`, and rehearsed texts."""

    new: list[int]
    carried: list[int]
    unlearned: list[int]
    rehearsed: list[Rehearsed]


@dataclass(frozen=True, slots=True)
class _Curriculum:
    """All that training reads.

    Attributes:
        new: contexts of the facts to be learned.
        carried: contexts of facts that adapters carry already.
        unlearned: the base model's answers that earlier adapters do not give.
        rehearsed: reference texts.
    """

    new: HardExampleSampler[Context]
    carried: HardExampleSampler[Context]
    unlearned: HardExampleSampler[Rehearsed]
    rehearsed: list[Rehearsed]
    random: Random
    repeats: tuple[int, int]  # of carried contexts and of unlearned texts in a batch

    def draw(self, options: Training) -> _Batch:
        """Draws a batch; the order of the draws is part of what a seed means."""
        new, carried = self.new.batch(options.batch), self.carried.batch(self.repeats[0])
        rehearsed = self.random.sample(self.rehearsed, min(options.rehearsal, len(self.rehearsed)))
        return _Batch(new, carried, self.unlearned.batch(self.repeats[1]), rehearsed)

    def losses(self, clone: EditableModel, lower: LowerLayerCache | None, batch: _Batch) -> Losses:
        """Computes the losses on `batch`: new contexts before carried ones, unlearned texts before rehearsed ones."""
        contexts = self.new.examples(batch.new) + self.carried.examples(batch.carried)
        return losses_of(clone, lower, contexts, self.unlearned.examples(batch.unlearned) + batch.rehearsed)

    def record(self, batch: _Batch, losses: Losses) -> None:
        """Keeps the loss of each example, in the order of `losses`."""
        new, unlearned = len(batch.new), len(batch.unlearned)
        self.new.record(batch.new, losses.contexts[:new].tolist())
        self.carried.record(batch.carried, losses.contexts[new:].tolist())
        self.unlearned.record(batch.unlearned, losses.texts[:unlearned].tolist())

    def learned(self, enough: float) -> bool:
        """Returns whether every new context and every unlearned text had a loss below `enough` when last seen."""
        return self.new.mastered(enough) and self.unlearned.mastered(enough)


@dataclass(frozen=True, slots=True)
class _Curves:
    """Losses and divergences, one of each per step."""

    losses: list[float] = field(default_factory=list)
    divergences: list[float] = field(default_factory=list)


def train_adapter(
    model: EditableModel,
    contexts: Sequence[Context],
    carried: Sequence[Context],
    texts: Sequence[Sequence[int]],
    base_variants: Sequence[Mapping[str, Tensor]],
    covariances: Mapping[str, Tensor],
    options: Training,
    seed: int,
    unlearned: Sequence[Sequence[int]] = (),
    progress: Progress = lambda done, most, loss: None,
) -> Trained:
    """Trains an adapter with which a clone of `model` predicts `contexts`; `model` stays as it is.

    Args:
        contexts: contexts of the facts to be learned.
        carried: contexts of facts that adapters carry already: half a batch of them in every step, or more where it
            takes more for each to come once in `AGAIN` steps on average.
        texts: token ids of texts to be read as the base model does.
        base_variants: module -> weights that the adapter is trained on top of; steps take them in turn. The first
            decides when the contexts are learned.
        covariances: module -> lambda C [d_in, d_in], along which the adapter begins quietly.
        unlearned: further texts to be read as the base model does, which earlier adapters change; as many in a step as
            of `carried`.

    Raises:
        Unlearnable: the loss is not a number.
    """
    random = Random(seed)
    torch.manual_seed(seed)  # A is drawn at random where `directions` has fewer rows than the rank
    clone = model.clone()
    attach_adapter(clone, options.rank)
    if contexts:  # there may be something to unlearn alone
        with model.with_weights(base_variants[0]):
            set_first_rows(clone, directions(model, covariances, contexts, options.rank))
    lower = below(model, [*(context.ids for context in (*contexts, *carried)), *texts, *unlearned])
    curriculum = _Curriculum(
        new=HardExampleSampler(contexts, random),
        carried=HardExampleSampler(carried, random),
        unlearned=HardExampleSampler(rehearse(model, unlearned, lower), random),
        rehearsed=rehearse(model, texts, lower),
        random=random,
        repeats=(_repeats(options.batch, len(carried)), _repeats(options.batch, len(unlearned))),
    )
    curves = _descend(clone, lower, curriculum, base_variants, options, progress)
    epoch = len(base_variants) * max(1, math.ceil(len(contexts) / options.batch))
    last_loss, divergence = _mean_of_last(curves.losses, epoch), _mean_of_last(curves.divergences, epoch)
    return Trained(extract_delta(clone), len(curves.losses), curves.losses[0], last_loss, divergence)


def _descend(
    clone: EditableModel,
    lower: LowerLayerCache | None,
    curriculum: _Curriculum,
    base_variants: Sequence[Mapping[str, Tensor]],
    options: Training,
    progress: Progress,
) -> _Curves:
    """Trains the adapter of `clone` by AdamW until all is learned, and `COOL_DOWN` steps further."""
    optimizer = torch.optim.AdamW(parameter_groups(clone), weight_decay=0.0)
    curves = _Curves()
    step, end = 0, options.steps
    while step < end:
        step += 1
        variant = step % len(base_variants)
        install_base(clone, base_variants[variant])
        for group in optimizer.param_groups:
            group["lr"] = group["pace"] * options.learning_rate * _share_of_rate(step, options.steps, end)
        batch = curriculum.draw(options)
        losses = curriculum.losses(clone, lower, batch)
        loss, divergence = losses.mean, losses.divergence
        if not math.isfinite(loss.item() + divergence.item()):
            raise Unlearnable(f"training diverged at step {step}: its loss is not a number; lower the learning rate")
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + options.divergence_weight * divergence)
        optimizer.step()
        if variant == 0:  # losses count where the adapter is alone; an edit in the weights would flatter them
            curriculum.record(batch, losses)
        curves.losses.append(loss.item())
        curves.divergences.append(divergence.item())
        progress(step, options.steps, curves.losses[-1])
        if curriculum.learned(options.enough):
            end = min(end, step + COOL_DOWN)
    return curves


def _repeats(batch: int, examples: int) -> int:
    """Returns how many of `examples` are repeated in a step."""
    return max(batch // 2, math.ceil(examples / AGAIN))


def _share_of_rate(step: int, steps: int, end: int) -> float:
    """Returns the share of the rate: up over `WARM_UP`, down linearly to `steps`, or faster to an earlier `end`."""
    return min(step / WARM_UP, max(0.01, (steps - step) / steps), max(0.01, (end - step) / COOL_DOWN))


def _mean_of_last(values: Sequence[float], count: int) -> float:
    """Returns the mean of the last `count` values, or of all where there are fewer."""
    last = min(count, len(values))
    return sum(values[-last:]) / last
