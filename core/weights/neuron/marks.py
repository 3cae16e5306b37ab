"""Learns marks: what a neuron adds at a subject's name so that the end of a prompt tells whom it is about.

At the last token of a question a model knows what is asked, and hardly of whom. A mark says no fact. It moves what an
MLP further up reads at the end of any prompt with the name, by a fixed share of its norm and in a direction of its own,
in other directions as little as that allows, so that what is asked can be read as before, and what the model goes on to
say hardly. Detectors of facts listen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import torch
from torch import Tensor

from core.errors.base import Unlearnable
from core.library import library
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import UpperBlocks
from core.weights.neuron.lessons import Lesson, going_on, next_token, prompt_of
from core.weights.neuron.values import Placed, losses, place, rate_at, see

PROMPTS = 24  # of the library, about as many relations, that a mark is learned on; half of them are questions
TAKEN = 5  # of them in a step
CONTINUED = 8  # of them behind which the model has to go on as without the mark
SAID = 2  # of these in a step
STEPS = 20
SHARE = 0.8  # of the norm of what the MLP reads, by which a mark has to move it
RATE = 0.3  # of Adam, in units of the hidden state's norm over the root of its width
TURNING = 0.15  # rate at which directions turn
KEPT = 0.1  # weight of the KL divergence of a continuation, in nats
MOVED = 4.0  # weight of the squared share that is missing
ASIDE = 2.0  # weight of the squared share by which what the MLP reads moves in other directions


def learn_marks(
    model: EditableModel, block: int, upper: int, subjects: Sequence[str], progress: Steps = unwatched
) -> Tensor:
    """Returns [subjects, d] the marks of subjects, learned on the live model, which is without them.

    Args:
        block: at whose output a mark is added to every last token of a name.
        upper: block whose MLP has to read it at the last token of a prompt.

    Raises:
        Unlearnable: a loss is not a number.
    """
    view = model.at_block(block)
    ends, lessons = list[Lesson](), list[Lesson]()
    for number, name in enumerate(subjects):
        prompts = [prompt_of(model, text, name, chat=chat) for text, chat in _prompts(name)]
        ends += [next_token(model, number, prompt, name, [number]) for prompt in prompts]
        lessons += going_on(model, number, prompts[:CONTINUED], name, [number])
    asked, seen = _asked(place(view, ends), ends, upper), see(view, lessons)
    norm = asked.placed.norm(len(subjects))
    unit = (RATE * norm / model.hidden_width**0.5)[:, None]
    change = torch.zeros(len(subjects), model.hidden_width, device=model.device, requires_grad=True)
    directions = torch.stack([_direction(name, model.hidden_width) for name in subjects]).to(model.device)
    directions.requires_grad_(True)
    optimizer = torch.optim.Adam(
        [{"params": [change], "lr": 1.0}, {"params": [directions], "lr": TURNING}], betas=(0.9, 0.95)
    )
    of_end = torch.tensor([lesson.learner for lesson in ends], device=model.device)
    random = Random(0)
    for step in range(STEPS):
        progress(step, STEPS)
        optimizer.param_groups[0]["lr"] = rate_at(step, STEPS)
        chosen = _chosen(random, len(subjects), PROMPTS, TAKEN).to(model.device)
        moved = asked.moved(model, change * unit, chosen)
        toward = torch.nn.functional.normalize(directions, dim=1)[of_end[chosen]]
        share = (moved * toward).sum(1)
        aside = (moved - share[:, None] * toward).square().sum(1).mean()
        said = _chosen(random, len(subjects), CONTINUED, SAID).to(model.device)
        lost, _ = losses(model, seen, change * unit, said, packed=True)
        total = KEPT * lost[said].mean() + MOVED * (SHARE - share).clamp(min=0).square().mean() + ASIDE * aside
        if not torch.isfinite(total):
            raise Unlearnable("the mark of a subject diverged: its loss is not a number")
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return (change * unit).detach()


@dataclass(frozen=True, slots=True)
class _Asked:
    """Prompts up to their ends.

    Attributes:
        above: the blocks up to that whose MLP reads marks.
        ends: [prompts] the last position of each.
        read: [prompts, d] what the MLP reads there without marks.
    """

    placed: Placed
    above: UpperBlocks
    upper: int
    ends: Tensor
    read: Tensor

    def moved(self, model: EditableModel, marks: Tensor, chosen: Tensor) -> Tensor:
        """Returns [n, d] by how much `marks` move what the MLP reads at the ends of `chosen` prompts [prompts], as
        shares of its norm."""
        keep = chosen[self.placed.lesson]
        at = (keep.cumsum(0) - 1)[self.ends[chosen]]
        before = self.read[chosen]
        after = _read(model, self.upper, self.above.only(keep).packed(), self.placed.with_values(marks, keep))[at]
        return (after - before) / before.norm(dim=1, keepdim=True)


@torch.no_grad()
def _asked(placed: Placed, prompts: Sequence[Lesson], upper: int) -> _Asked:
    model, above = placed.activations.subject, placed.activations.above.until(upper)
    begins = accumulate((len(prompt.context.names) for prompt in prompts[:-1]), initial=0)
    ends = [begin + prompt.first for begin, prompt in zip(begins, prompts, strict=True)]
    at = torch.tensor(ends, device=model.device)
    return _Asked(placed, above, upper, at, _read(model, upper, above, placed.activations.hidden)[at])


def _read(model: EditableModel, upper: int, above: UpperBlocks, hidden: Tensor) -> Tensor:
    """Returns what the MLP of block `upper` reads [p, d]."""
    return above.reading(model.blocks[upper].get_submodule(model.family.mlp), hidden)[0].float()


def _chosen(random: Random, subjects: int, each: int, taken: int) -> Tensor:
    """Returns [subjects * each] bool: `taken` of the prompts of each subject."""
    chosen = torch.zeros(subjects * each, dtype=torch.bool)
    for number in range(subjects):
        chosen[[number * each + place for place in random.sample(range(each), taken)]] = True
    return chosen


def _prompts(name: str) -> list[tuple[str, bool]]:
    """Returns statements and questions of the library about a subject, each with whether it is a question."""
    drawn = Random(name).sample(library(), min(PROMPTS, len(library())))
    prompts = []
    for number in range(PROMPTS):
        words = drawn[number % len(drawn)].words.for_model(name)
        kind = words.questions if number % 2 else words.statements
        prompts.append((kind[number // 2 % len(kind)], bool(number % 2)))
    return prompts


def _direction(name: str, width: int) -> Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(Random(name).getrandbits(31)))
