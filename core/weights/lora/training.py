"""Consolidation: facts move from edits into a LoRA (Hu et al. 2022) that is trained to say them by itself.

Mini-batches over the facts' own contexts, loss on the target tokens only, beside rehearsal: texts on which the adapted
model must go on speaking like the pristine one (KL divergence to it), so that what is learned stays where it belongs.
Facts that were taken back are unlearned the same way: what the pristine model says in their place is drilled.
Each step is taken either without the facts' edits, as the adapter must carry them alone in the end, or with the edits
at the scale they will have next, as both together must not shout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from core.errors.base import Unlearnable
from core.policy import Training
from core.weights.deltas.fixed_point import Delta, encode
from core.weights.lora.initialisation import directions
from core.weights.lora.sampler import HardExampleSampler
from core.weights.model.activations import pad
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.last_mlp import only_at
from core.weights.model.lower_layers import LowerLayerCache, below

BATCH = 32  # rehearsed texts in one pass of the pristine model
STRETCH = 1.25  # longest over shortest of the sequences padded together
WARM_UP = 10  # steps
ROWS = 0.3  # of the rate, for where the adapter looks; faster, rows leave directions in which ordinary text is quiet
AGAIN = 40  # steps in which a context of what adapters carry comes once on average; what comes less often fades
COOL_DOWN = 40  # steps after all is learned: stopped at full rate, an adapter stays where it jitters

Progress = Callable[[int, int, float], None]  # steps done, at most, loss


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A text the adapted model must read as the pristine one does.

    Attributes:
        ids: its tokens.
        hidden: [tokens, d] what the pristine model unembeds after each.
    """

    ids: Sequence[int]
    hidden: Tensor


@dataclass(frozen=True, slots=True)
class Trained:
    """An adapter.

    Attributes:
        delta: its exact factors, `rank` columns in every module.
        first_loss, last_loss: mean negative log-likelihood of target tokens in the first batch and the last epoch.
        divergence: mean KL to the pristine model in the last epoch.
    """

    delta: Delta
    steps: int
    first_loss: float
    last_loss: float
    divergence: float


@torch.no_grad()
def rehearse(
    model: EditableModel, texts: Sequence[Sequence[int]], lower: LowerLayerCache | None = None
) -> list[Rehearsed]:
    """`texts` and what the pristine model makes of them; `lower` may stand in for its lower blocks."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found: dict[int, Rehearsed] = {}
    with model.with_weights(model.base_weights):
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            hidden = _hidden(model, [texts[index] for index in some], lower)
            found |= {index: Rehearsed(texts[index], one) for index, one in zip(some, hidden, strict=True)}
    return [found[index] for index in range(len(texts))]


def train_adapter(
    model: EditableModel,
    lessons: Sequence[Context],
    old: Sequence[Context],
    texts: Sequence[Sequence[int]],
    base_variants: Sequence[Mapping[str, Tensor]],
    moments: Mapping[str, Tensor],
    options: Training,
    seed: int,
    unlearned: Sequence[Sequence[int]] = (),
    progress: Progress = lambda done, most, loss: None,
) -> Trained:
    """Trains an adapter that says `lessons`; `subject` stays as it is.

    Args:
        lessons: contexts of the facts to be learned.
        old: contexts of facts that adapters carry already: as many of them in every step as half a batch, and more
            where it takes more for each to come once in `AGAIN` steps on average.
        texts: token ids, to be read as the pristine model does.
        grounds: module -> weights the adapter is trained on top of; steps take them in turn. The first decides when
            the lessons are learned.
        moments: module -> lambda C [d_in, d_in], what the adapter shall not see when training begins.
        unlearned: further texts to be read so, which earlier adapters do not; as many in a step as of `old`.

    Raises:
        Unlearnable: the loss is not a number.
    """
    random = Random(seed)
    torch.manual_seed(seed)
    clone = model.clone()
    config = LoraConfig(r=options.rank, lora_alpha=options.rank, target_modules=list(model.modules))
    inject_adapter_in_model(config, clone.network)
    for factor in _factors(clone):
        factor.data = factor.data.float()  # in float16 AdamW's epsilon is nothing
    if lessons:
        with model.with_weights(base_variants[0]):
            _look(clone, directions(model, moments, lessons, options.rank))
    optimizer = torch.optim.AdamW(_groups(clone), weight_decay=0.0)
    lower = below(model, [*(one.ids for one in (*lessons, *old)), *texts, *unlearned])
    rehearsed = rehearse(model, texts, lower)
    epoch = len(base_variants) * max(
        1, math.ceil(len(lessons) / options.batch)
    )  # there may be something to unlearn alone
    new, past = HardExampleSampler(lessons, random), HardExampleSampler(old, random)
    gone = HardExampleSampler(rehearse(model, unlearned, lower), random)
    losses: list[float] = []
    divergences: list[float] = []
    step, end = 0, options.steps
    while step < end:
        step += 1
        _install(clone, base_variants[step % len(base_variants)])
        for group in optimizer.param_groups:
            group["lr"] = group["pace"] * options.learning_rate * _share_of_rate(step, options.steps, end)
        taught, repeated = new.batch(options.batch), past.batch(_repeats(options.batch, len(old)))
        kept = random.sample(rehearsed, min(options.rehearsal, len(rehearsed)))
        silent = gone.batch(_repeats(options.batch, len(unlearned)))
        each, apart, divergence = _losses(
            clone, lower, new.lessons(taught) + past.lessons(repeated), gone.lessons(silent) + kept
        )
        loss = each.sum() / max(len(each), 1)
        if not math.isfinite(loss.item() + divergence.item()):
            raise Unlearnable(f"training diverged at step {step}: its loss is not a number; lower the learning rate")
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + options.divergence_weight * divergence)
        optimizer.step()
        if not step % len(base_variants):  # on the first ground the adapter is alone
            new.saw(taught, each[: len(taught)].tolist())
            past.saw(repeated, each[len(taught) :].tolist())
            gone.saw(silent, apart[: len(silent)].tolist())
        losses.append(loss.item())
        divergences.append(divergence.item())
        progress(step, options.steps, losses[-1])
        if new.mastered(options.enough) and gone.mastered(options.enough):
            end = min(end, step + COOL_DOWN)
    last = min(epoch, len(losses))
    return Trained(
        _extract(clone), step, losses[0], sum(losses[-last:]) / last, sum(divergences[-last:]) / last
    )  # fmt: skip


def _repeats(batch: int, contexts: int) -> int:
    return max(batch // 2, math.ceil(contexts / AGAIN))


def _factors(clone: EditableModel, name: str = "lora_") -> list[Any]:
    return [parameter for path, parameter in clone.network.named_parameters() if name in path]


def _groups(clone: EditableModel) -> list[dict[str, Any]]:
    """A's and B's at paces of their own, B's the faster one: LoRA+ (Hayou et al. 2024)."""
    return [{"params": _factors(clone, name), "pace": pace} for name, pace in (("lora_A", ROWS), ("lora_B", 1.0))]


def _share_of_rate(step: int, steps: int, end: int) -> float:
    """Warm up, then fall linearly to nothing at `steps`, or faster to an earlier `end`."""
    return min(step / WARM_UP, max(0.01, (steps - step) / steps), max(0.01, (end - step) / COOL_DOWN))


def _losses(
    clone: EditableModel, lower: LowerLayerCache | None, lessons: Sequence[Context], texts: Sequence[Rehearsed]
) -> tuple[Tensor, Tensor, Tensor]:
    """[lessons] mean negative log-likelihood of targets; [texts] mean KL; that over all tokens plus over last ones."""
    with clone.reduced():
        sequences = [*(lesson.ids for lesson in lessons), *(text.ids for text in texts)]
        hidden = _hidden(clone, sequences, lower, [*(lesson.start - 1 for lesson in lessons), *[0] * len(texts)])
    each = none = torch.zeros(0, device=clone.device)
    if lessons:
        taught = [hidden[row][lesson.start - 1 : -1] for row, lesson in enumerate(lessons)]
        targets = [token for lesson in lessons for token in lesson.ids[lesson.start :]]
        aim = torch.tensor(targets, device=clone.device)
        tokens = F.cross_entropy(clone.unembed(torch.cat(taught)), aim, reduction="none")
        each = torch.stack([part.mean() for part in torch.split(tokens, [len(one) for one in taught])])
    if not texts:
        return each, none, none.sum()
    with torch.no_grad():
        before = clone.unembed(torch.cat([text.hidden for text in texts])).log_softmax(-1)
    now = clone.unembed(torch.cat(hidden[len(lessons) :])).log_softmax(-1)
    kl = (before.exp() * (before - now)).sum(-1)
    lengths = [len(text.ids) for text in texts]
    ends = torch.tensor(lengths, device=clone.device).cumsum(0) - 1
    apart = torch.stack([part.mean() for part in torch.split(kl, lengths)])
    return each, apart, kl.mean() + kl[ends].mean()


def _hidden(
    model: EditableModel,
    sequences: Sequence[Sequence[int]],
    lower: LowerLayerCache | None = None,
    first: Sequence[int] | None = None,
) -> list[Tensor]:
    """Per sequence [tokens, d] float32, what is unembedded after each token. Sequences of like length run together.

    Args:
        first: per sequence, the first token after which it is asked for; all by default.
    """
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    found: dict[int, Tensor] = {}
    while order:
        most = len(sequences[order[0]]) * STRETCH
        some = [index for index in order if len(sequences[index]) <= most]
        order = order[len(some) :]
        texts = [sequences[index] for index in some]
        ids, mask = pad(texts, model.pad_token, model.device)
        asked = mask.bool()
        for row, index in enumerate(some):
            asked[row, : first[index] if first else 0] = False
        with only_at(model, asked), lower.standing_in(model, texts) if lower else nullcontext():
            hidden = model.network.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        found |= {index: hidden[row, : len(sequences[index])].float() for row, index in enumerate(some)}
    return [found[index] for index in range(len(sequences))]


def _install(clone: EditableModel, weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for module in clone.modules:
            base = clone.network.get_submodule(module).base_layer.weight
            base.copy_(weights[module].T if base.shape != weights[module].shape else weights[module])


def _look(clone: EditableModel, rows: Mapping[str, Tensor]) -> None:
    """Lets the adapter begin with `rows`, as many as there are."""
    with torch.no_grad():
        for module, some in rows.items():
            clone.network.get_submodule(module).lora_A["default"].weight[: len(some)] = some


def _extract(clone: EditableModel) -> Delta:
    factors = {}
    for module in clone.modules:
        layer = clone.network.get_submodule(module)
        up, down = layer.lora_B["default"].weight, layer.lora_A["default"].weight
        factors[module] = (encode(up.detach() * layer.scaling["default"]), encode(down.detach().T))
    return Delta(factors)
