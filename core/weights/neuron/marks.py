"""Learns marks: what a neuron adds at a subject's name so that the end of a prompt tells whom it is about.

At the last token of a question a model knows what is asked, and hardly of whom. A mark says no fact. It moves what an
MLP further up reads at the end of any prompt with the name, by a fixed share of its norm and in a direction of its own,
in other directions as little as that allows, so that what is asked can be read as before, and what the model goes on to
say hardly. Detectors of facts listen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random

import torch
from torch import Tensor

from core.errors.base import Unlearnable
from core.library import library
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.lessons import Lesson, going_on, prompt_of
from core.weights.neuron.values import Seen, lost_at, rate_at, see, with_values

PROMPTS = 32  # of the library, about as many relations, that a mark is learned on; half of them are questions
TAKEN = 8  # of them in a step
STEPS = 28
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
    lessons = list[Lesson]()
    for number, name in enumerate(subjects):
        prompts = [prompt_of(model, text, name, chat=chat) for text, chat in _prompts(name)]
        lessons += going_on(model, number, prompts, name, [number])
    seen = see(model.at_block(block), lessons)
    begins = accumulate((len(lesson.context.names) for lesson in lessons[:-1]), initial=0)
    ends = torch.tensor([begin + lesson.first for begin, lesson in zip(begins, lessons, strict=True)])
    ends = ends.to(model.device)
    with torch.no_grad():
        everything = torch.ones_like(seen.lesson, dtype=torch.bool)
        before = _read(model, upper, seen, seen.activations.hidden, everything, ends)[0]
    of_lesson = torch.tensor([lesson.learner for lesson in lessons], device=model.device)
    norm = seen.norm(len(subjects))
    unit = (RATE * norm / model.hidden_width**0.5)[:, None]
    change = torch.zeros(len(subjects), model.hidden_width, device=model.device, requires_grad=True)
    directions = torch.stack([_direction(name, model.hidden_width) for name in subjects]).to(model.device)
    directions.requires_grad_(True)
    optimizer = torch.optim.Adam(
        [{"params": [change], "lr": 1.0}, {"params": [directions], "lr": TURNING}], betas=(0.9, 0.95)
    )
    random = Random(0)
    for step in range(STEPS):
        progress(step, STEPS)
        optimizer.param_groups[0]["lr"] = rate_at(step, STEPS)
        chosen = torch.zeros(len(lessons), dtype=torch.bool, device=model.device)
        for number in range(len(subjects)):
            begin = number * PROMPTS
            chosen[[begin + place for place in random.sample(range(PROMPTS), TAKEN)]] = True
        keep = chosen[seen.lesson]
        after, output = _read(model, upper, seen, with_values(seen, change * unit, keep), keep, ends)
        lost, _ = lost_at(model, seen, output, keep, chosen)
        toward = torch.nn.functional.normalize(directions, dim=1)[of_lesson[chosen]]
        moved = (after - before[chosen]) / before[chosen].norm(dim=1, keepdim=True)
        share = (moved * toward).sum(1)
        aside = (moved - share[:, None] * toward).square().sum(1).mean()
        total = KEPT * lost[chosen].mean() + MOVED * (SHARE - share).clamp(min=0).square().mean() + ASIDE * aside
        if not torch.isfinite(total):
            raise Unlearnable("the mark of a subject diverged: its loss is not a number")
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
    return (change * unit).detach()


def _read(
    model: EditableModel, upper: int, seen: Seen, hidden: Tensor, keep: Tensor, ends: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns what the MLP of block `upper` reads [lessons, d] at those of the positions `ends` that are kept, and what
    the last block puts out at all positions kept."""
    mlp = model.blocks[upper].get_submodule(model.family.mlp)
    inputs, output = seen.activations.above.only(keep).reading(mlp, hidden)
    place = keep.cumsum(0) - 1
    return inputs[place[ends[keep[ends]]]].float(), output


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
