"""Measures where detectors must stay silent: MLP inputs in reference text, at first tokens and at strangers' names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from random import Random

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText
from core.weights.neuron.inputs import inputs_at, mlp_inputs
from core.weights.neuron.subjects import Text, asked_about
from core.weights.reference.words import strangers, technical

MEASURE = 2  # counts up when `measure_negatives` would measure something else in the same text
STRANGERS = 500  # people, each in a statement and a question, at whose names detectors of subjects stay silent
STRANGERS_AT_ENDS = 60  # the same of detectors of facts: fewer, because at a name nothing has been asked yet
HELD_OUT = 4  # one row of each kind in so many certifies detectors and is not trained on
SEED = 0
AT_ONCE = 32  # texts between reports of progress
LONGEST = 128  # tokens of a technical paragraph that are read
NAMED = 4  # tokens by which text that holds a subject's name is told
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
        tokens, held_tokens: [n, NAMED] int32 the token of each row of text and those before it, -1 for none; empty
            where an older version has measured.
        decoys: [n, 2 d + 1] float32 marks of strangers at the lower MLP, for detectors at the upper one; else none.
        asked, held_asked: MLP inputs of marked strangers at the ends of prompts of the library (`ends_about`).
        templates_digest: of these prompts (`digest_of_templates`).
    """

    text: Tensor
    first: Tensor
    names: Tensor
    held_text: Tensor
    held_names: Tensor
    tokens: Tensor = field(default_factory=lambda: torch.zeros(0, NAMED, dtype=torch.int32))
    held_tokens: Tensor = field(default_factory=lambda: torch.zeros(0, NAMED, dtype=torch.int32))
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

    def without(self, names: Sequence[Sequence[int]]) -> Negatives:
        """Returns these without the text in which one of `names`, given by its tokens, ends: a subject of whom the text
        speaks must not be kept from responding to itself."""
        if not len(self.tokens):
            return self
        kept, held_kept = (~_named(tokens, names) for tokens in (self.tokens, self.held_tokens))
        if kept.all() and held_kept.all():
            return self
        return replace(
            self,
            text=self.text[kept],
            tokens=self.tokens[kept],
            held_text=self.held_text[held_kept],
            held_tokens=self.held_tokens[held_kept],
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @cached_property
    def mean(self) -> Tensor:
        """Mean [d] float32 of the inputs in reference text."""
        return self.text.float().mean(0)


def _named(tokens: Tensor, names: Sequence[Sequence[int]]) -> Tensor:
    """Returns [n] bool: in which of the rows [n, NAMED] one of `names` ends."""
    here = torch.zeros(len(tokens), dtype=torch.bool)
    for name in names:
        last = torch.tensor(name[-NAMED:], dtype=tokens.dtype)
        here |= (tokens[:, -len(last) :] == last).all(1)
    return here


def measure_negatives(
    model: EditableModel,
    people: Mapping[int, int],
    text: ReferenceText,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, Negatives]:
    """Measures the MLPs of blocks on the live weights, which should be the base weights; text by one pass.

    Args:
        people: block -> number of strangers.
        progress: called with texts run and those in all; may raise.
    """
    random, blocks = Random(SEED), tuple(people)
    paragraphs = [model.raw_ids(paragraph)[:LONGEST] for paragraph in technical()]
    texts = [*text.whole, *(ids for ids in paragraphs if len(ids) > 1)]
    texts = random.sample(texts, len(texts))  # so that both halves hold all kinds
    about = {block: asked_about(model, strangers(people[block], SEED), Random(SEED)) for block in blocks}
    total = len(texts) + sum(map(len, about.values()))
    rows: list[tuple[Tensor, ...]] = []
    for start in range(0, len(texts), AT_ONCE):
        progress(start, total)
        rows += inputs_at(model, blocks, texts[start : start + AT_ONCE])
    progress(len(texts), total)
    ends = torch.tensor([end for ids, row in zip(texts, rows, strict=True) for end in _ends(ids, len(row[0]) - 1)])
    order = torch.tensor(random.sample(range(len(ends)), len(ends)))
    of_block: dict[int, Negatives] = {}
    for number, block in enumerate(blocks):
        here = [row[number] for row in rows]
        of_block[block] = _negatives(model, block, here, ends.to(torch.int32)[order], order, about[block])
    progress(total, total)
    return of_block


def _ends(ids: Sequence[int], count: int) -> list[list[int]]:
    """Returns each of the last `count` tokens with those before it."""
    padded = [*[-1] * NAMED, *ids]
    return [padded[end - NAMED : end] for end in range(len(padded) - count + 1, len(padded) + 1)]


def _negatives(
    model: EditableModel, block: int, rows: Sequence[Tensor], ends: Tensor, order: Tensor, about: Sequence[Text]
) -> Negatives:
    """Returns the negatives of a block, of the `rows` of texts, whose tokens but the first ones come in `order`."""
    random = Random(SEED)
    words = [Text((token,), (0,)) for token in sorted({text.ids[0] for text in about})]
    chats = [text for text in about if text.ids[0] == _first_of_chats(model)]
    names = [_last_rows(model, block, texts) for texts in (chats, [text for text in about if text not in chats])]
    first = [row[:1] for row in rows] + mlp_inputs(model, block, [word.ids for word in words])
    inner = torch.cat([row[1:] for row in rows])[order]
    at_names = torch.cat(names)
    at_names = at_names[torch.tensor(random.sample(range(len(at_names)), len(at_names)))]
    text_held, names_held = len(inner) // HELD_OUT, len(at_names) // HELD_OUT
    return Negatives(
        text=_stored(inner[text_held:]),
        first=_stored(torch.cat(first)),
        names=_stored(at_names[names_held:]),
        held_text=_stored(inner[:text_held]),
        held_names=_stored(at_names[:names_held]),
        tokens=ends[text_held:].clone(),
        held_tokens=ends[:text_held].clone(),
    )


def _first_of_chats(model: EditableModel) -> int:
    return model.chat_ids([], "Hello")[0]


def _last_rows(model: EditableModel, block: int, texts: Sequence[Text]) -> Tensor:
    rows = mlp_inputs(model, block, [text.ids for text in texts])
    return torch.cat([row[-1:] for row in rows]) if rows else torch.empty(0, model.hidden_width)


def _stored(rows: Tensor) -> Tensor:
    return rows.to(torch.float16).cpu()
