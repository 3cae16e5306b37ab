"""Measures where detectors must stay silent: MLP inputs in reference text, at first tokens and at strangers' names."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from random import Random

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.subjects import Text, asked_about
from core.weights.reference.words import strangers

MEASURE = 1  # counts up when `measure_negatives` would measure something else in the same text
STRANGERS = 500  # people, each in a statement and a question, at whose names detectors of subjects stay silent
STRANGERS_AT_ENDS = 60  # the same of detectors of facts: fewer, because at a name nothing has been asked yet
HELD_OUT = 4  # one row of each kind in so many certifies detectors and is not trained on
SEED = 0
AT_ONCE = 32  # texts between reports of progress
_TEMPLATES = "templates_digest"


@dataclass(frozen=True)
class Negatives:
    """MLP inputs at which a detector of any subject must not respond, [n, d] float16 each.

    Attributes:
        text: tokens of reference text and chats.
        first: first tokens of texts. They hold nothing but themselves and are several times as small as all others, so
            that a detector that never saw them responds to all of them alike.
        names: last tokens of strangers' names.
        held_text, held_names: the same, held out.
        decoys: [n, 2 d + 1] float32 marks of strangers at the lower MLP, for detectors at the upper one; else none.
        asked, held_asked: MLP inputs of marked strangers at the ends of prompts of the library (`ends_about`).
        templates_digest: of these prompts (`digest_of_templates`).
    """

    text: Tensor
    first: Tensor
    names: Tensor
    held_text: Tensor
    held_names: Tensor
    decoys: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    asked: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    held_asked: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    templates_digest: str = ""

    def to_bytes(self) -> bytes:
        """Returns a safetensors file."""
        rows = {part.name: getattr(self, part.name) for part in fields(self) if part.name != _TEMPLATES}
        return save({name: part.contiguous() for name, part in rows.items()}, {_TEMPLATES: self.templates_digest})

    @classmethod
    def from_bytes(cls, data: bytes) -> Negatives:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            rows, size = load(data), int.from_bytes(data[:8], "little")
            about = json.loads(data[8 : 8 + size]).get("__metadata__", {})
            return cls(**rows, templates_digest=about.get(_TEMPLATES, ""))
        except Exception as error:
            raise Damaged(f"MLP inputs of reference text cannot be read: {error}") from error

    @cached_property
    def mean(self) -> Tensor:
        """Mean [d] float32 of the inputs in reference text."""
        return self.text.float().mean(0)


def measure_negatives(
    model: EditableModel,
    block: int,
    text: ReferenceText,
    people: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Negatives:
    """Measures the MLP of a block on the live weights, which should be the base weights.

    Args:
        people: number of strangers.
        progress: called with texts run and those in all; may raise.
    """
    random = Random(SEED)
    about = asked_about(model, strangers(people, SEED), random)
    words = [Text((token,), (0,)) for token in sorted({text.ids[0] for text in about})]
    mixed = random.sample(text.whole, len(text.whole))  # so that both halves hold all kinds
    total = len(mixed) + len(about)
    rows: list[Tensor] = []
    for start in range(0, len(mixed), AT_ONCE):
        progress(start, total)
        rows += mlp_inputs(model, block, mixed[start : start + AT_ONCE])
    progress(len(mixed), total)
    chats = [text for text in about if text.ids[0] == _first_of_chats(model)]
    names = [_last_rows(model, block, texts) for texts in (chats, [text for text in about if text not in chats])]
    first = [row[:1] for row in rows] + mlp_inputs(model, block, [word.ids for word in words])
    inner = torch.cat([row[1:] for row in rows])
    inner = inner[torch.tensor(random.sample(range(len(inner)), len(inner)))]
    at_names = torch.cat(names)
    at_names = at_names[torch.tensor(random.sample(range(len(at_names)), len(at_names)))]
    text_held, names_held = len(inner) // HELD_OUT, len(at_names) // HELD_OUT
    progress(total, total)
    return Negatives(
        text=_stored(inner[text_held:]),
        first=_stored(torch.cat(first)),
        names=_stored(at_names[names_held:]),
        held_text=_stored(inner[:text_held]),
        held_names=_stored(at_names[:names_held]),
    )


def _first_of_chats(model: EditableModel) -> int:
    return model.chat_ids([], "Hello")[0]


def _last_rows(model: EditableModel, block: int, texts: Sequence[Text]) -> Tensor:
    rows = mlp_inputs(model, block, [text.ids for text in texts])
    return torch.cat([row[-1:] for row in rows]) if rows else torch.empty(0, model.hidden_width)


def _stored(rows: Tensor) -> Tensor:
    return rows.to(torch.float16).cpu()
