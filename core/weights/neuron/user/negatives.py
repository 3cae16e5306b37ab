"""Measures where detectors of facts about the user stay silent: at what else users ask and say in the first person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged
from core.facts import USER
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import Prompt, prompt_of
from core.weights.neuron.strangers import said_behind
from core.weights.neuron.user.prompts import about_the_world, asides, asked_of_user

MEASURE = 1  # counts up when `measure_first_person` would measure something else
REST, SAID = 5000, 12000  # tokens that are kept beside the last ones of prompts, and behind these
ANSWERED = 28  # tokens that the model goes on to say behind a prompt
BEHIND = 400  # prompts behind which it does


@dataclass(frozen=True, slots=True)
class FirstPerson:
    """MLP inputs [n, d] float16 at prompts in the first person.

    Attributes:
        asked, held_asked: at the ends of the library's prompts as users ask them (`asked_of_user`).
        aside, held_aside: at the ends of all other prompts (`asides`).
        rest: at other tokens of both.
        said, held_said: at what the model goes on to say behind some of them, and in answers about the world.
    """

    asked: Tensor
    held_asked: Tensor
    aside: Tensor
    held_aside: Tensor
    rest: Tensor
    said: Tensor
    held_said: Tensor

    def to_bytes(self) -> bytes:
        """Returns a safetensors file."""
        return save({part.name: getattr(self, part.name).contiguous() for part in fields(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> FirstPerson:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            return cls(**load(data))
        except Exception as error:
            raise Damaged(f"MLP inputs of prompts in the first person cannot be read: {error}") from error


def measure_first_person(model: EditableModel, upper: int, progress: Steps = unwatched) -> FirstPerson:
    """Measures the MLP of block `upper` on the live weights, which should be the base weights."""
    random = Random(0)
    asked, held_asked = (
        [prompt_of(model, template.text, USER, chat=template.chat) for template in asked_of_user(held_out=held)]
        for held in (False, True)
    )
    aside, held_aside = (
        [prompt_of(model, text, USER, chat=chat) for text, chat in asides(held_out=held)] for held in (False, True)
    )
    groups, ends, rest = (asked, held_asked, aside, held_aside), list[Tensor](), list[Tensor]()
    for number, prompts in enumerate(groups):
        progress(number, len(groups) + 2)
        rows = inputs_of(model, upper, [prompt.ids for prompt in prompts], [prompt.chat for prompt in prompts])
        ends.append(torch.stack([row[-1] for row in rows]))
        rest += [row[:-1] for row in rows]
    said = list[Tensor]()
    world, held_world = (
        [prompt_of(model, text, USER, chat=chat) for text, chat in about_the_world(held_out=held)]
        for held in (False, True)
    )
    behind = ([*_some(random, asked), *_some(random, aside), *world], [*_some(random, held_aside), *held_world])
    for number, prompts in enumerate(behind):
        progress(len(groups) + number, len(groups) + 2)
        said.append(_kept(random, torch.cat(said_behind(model, upper, prompts, ANSWERED)), SAID))
    return FirstPerson(*(_stored(rows) for rows in (*ends, _kept(random, torch.cat(rest), REST), *said)))


def _some(random: Random, prompts: Sequence[Prompt]) -> list[Prompt]:
    return random.sample(prompts, min(BEHIND // 2, len(prompts)))


def _kept(random: Random, rows: Tensor, most: int) -> Tensor:
    return rows[torch.tensor(random.sample(range(len(rows)), min(most, len(rows))), dtype=torch.long)]


def _stored(rows: Tensor) -> Tensor:
    return rows.to(torch.float16).cpu()
