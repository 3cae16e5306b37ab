"""Measures what an MLP reads where strangers are asked what a fact says, and what the model goes on to say there.

It does not depend on the fact's subject, so that it is measured once for all facts in the same words.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged
from core.facts import Fact, Origin
from core.weights.classifier import classify
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.decoys import decoys
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import ANSWERED, Lesson, Prompt, prompt_of, untold
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import FIRST, FirstWordings, asking_else, first_wordings
from core.weights.neuron.subjects import renamed
from core.weights.reference.words import strangers
from core.wordings import origin_of

MEASURE = 2  # counts up when something else would be measured
STRANGERS = 80  # people, half of whom certify
EACH = 1  # of them for each prompt of the fact
MARKED = 1  # decoys that are asked a prompt of the fact
ASKED = 12  # prompts of either kind that they are asked
SAID = 4  # prompts of either kind about strangers, and about decoys, behind which the model goes on
SEED = 1  # of the strangers
KEPT = 32  # wordings whose measurements are kept, those used last
KEPT_PEOPLE = 8  # likewise, subjects


@dataclass(frozen=True, slots=True)
class Strangers:
    """What an MLP reads where strangers are asked for a fact, less its mean in reference text.

    Attributes:
        marked: [n, d] at the ends of the prompts about marked strangers.
        alike: classifiers `a . x + b`, of statements and of questions, that respond at these ends and at no others.
        away: [n, d] at the ends of the prompts about strangers.
        said: [n, d] at the tokens that the model goes on to say, about either.
        held_away, held_said: the same, held out; `held_chat` [n], which of `held_away` are chats.
    """

    marked: Tensor
    alike: tuple[tuple[Tensor, float], ...]
    away: Tensor
    said: Tensor
    held_away: Tensor
    held_chat: Tensor
    held_said: Tensor

    def to_bytes(self) -> bytes:
        """Returns a safetensors file."""
        rows = {name: getattr(self, name).contiguous() for name in _ROWS}
        for number, (a, b) in enumerate(self.alike):
            rows[f"alike {number}"] = torch.cat([a, torch.tensor([b])])
        return save(rows)

    @classmethod
    def from_bytes(cls, data: bytes) -> Strangers:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            rows = load(data)
            alike = tuple((row[:-1], float(row[-1])) for row in (rows.pop(f"alike {number}") for number in range(2)))
            return cls(**rows, alike=alike)
        except Exception as error:
            raise Damaged(f"what was measured of strangers cannot be read: {error}") from error


_ROWS = [part.name for part in fields(Strangers) if part.name != "alike"]


class KeptStrangers(Protocol):
    """Where measurements of strangers outlast the process."""

    def get(self, inputs: Sequence[str]) -> Strangers | None:
        """Returns what was measured of these inputs, if it is kept."""

    def put(self, inputs: Sequence[str], strangers: Strangers) -> None:
        """Keeps what was measured."""


class Measured:
    """Keeps what was measured on one base model and serves many facts.

    Attributes:
        beginnings: of texts about subjects.
    """

    def __init__(self, kept: KeptStrangers | None = None) -> None:
        """`kept` has measurements in words of the library alone, because others may hold what is to be erased."""
        self.beginnings = Beginnings()
        self._kept = kept
        self._known: OrderedDict[tuple[str, ...], Strangers] = OrderedDict()
        self._about: OrderedDict[tuple[str, ...], FirstWordings] = OrderedDict()

    def strangers(
        self, model: EditableModel, marks: str, upper: int, negatives: Negatives, fact: Fact
    ) -> Strangers:  # fmt: skip
        """Returns what is known of strangers who are asked for facts in the words of `fact`.

        It is measured where nothing but the decoys is marked, so that it depends on no memory.

        Args:
            marks: neurons that hold marks.
        """
        words = fact.wordings
        key = tuple(renamed(text, fact.subject, "{s}") for text in (*words.statements, "", *words.questions))
        if key not in self._known:
            kept = self._kept if origin_of(fact, {}) is Origin.LIBRARY else None
            inputs = (str(MEASURE), str(upper), negatives.digest, *key)
            known = kept.get(inputs) if kept else None
            if known is None:
                with model.with_weights(
                    {marks: negatives.decoys if len(negatives.decoys) else model.live()[marks][:0]}
                ):
                    known = _measure(model, upper, negatives, fact, Random(str(key)))
                if kept:
                    kept.put(inputs, known)
            self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[key]

    def first_wordings(self, model: EditableModel, marks: str, upper: int, name: str) -> FirstWordings:
        """Returns what is known of a subject, measured once for all of its facts while the same marks are in force."""
        live = hashlib.sha256(model.live()[marks].float().cpu().numpy().tobytes()).hexdigest()
        key = (name, str(upper), live)
        if key not in self._about:
            self._about[key] = first_wordings(model, upper, name)
        self._about.move_to_end(key)
        if len(self._about) > KEPT_PEOPLE:
            self._about.popitem(last=False)
        return self._about[key]


def _measure(model: EditableModel, upper: int, negatives: Negatives, fact: Fact, random: Random) -> Strangers:
    mean, names = negatives.mean, strangers(STRANGERS, SEED)
    half = len(names) // 2
    marked, chat = asked_of(model, upper, fact, decoys(), MARKED, random, ASKED)
    rest = negatives.asked[[number for number, _ in asking_else(fact, held_out=False)]].float() - mean
    away, _ = asked_of(model, upper, fact, names[:half], EACH, random)
    held_away, held_chat = asked_of(model, upper, fact, names[half:], EACH, random)
    silent = [*_some_about(model, fact, names[:half], random), *_some_about(model, fact, decoys(), random)]
    rows = said_behind(model, upper, [*silent, *_some_about(model, fact, names[half:], random)])
    return Strangers(
        marked=marked - mean,
        alike=tuple(classify(marked[chat == kind] - mean, [rest], FIRST) for kind in (False, True)),
        away=away - mean,
        said=torch.cat(rows[: len(silent)]) - mean,
        held_away=held_away - mean,
        held_chat=held_chat,
        held_said=torch.cat(rows[len(silent) :]) - mean,
    )


def asked_of(
    model: EditableModel,
    upper: int,
    fact: Fact,
    names: Sequence[str],
    each: int,
    random: Random,
    most: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns what the MLP reads at the last tokens of the fact's prompts about `each` of `names`, and which are chats.

    Args:
        most: prompts of either kind, drawn; all by default.
    """
    prompts = []
    for chat, wordings in ((False, fact.wordings.statements), (True, fact.wordings.questions)):
        for text in wordings if most is None else random.sample(wordings, min(most, len(wordings))):
            for name in random.sample(names, min(each, len(names))):
                about = renamed(text, fact.subject, name)
                prompts.append((model.chat_text([], about) if chat else about, chat))
    ids = [
        tuple(model.tokenizer(text, add_special_tokens=False).input_ids) if chat else tuple(model.raw_ids(text))
        for text, chat in prompts
    ]
    kinds = [chat for _, chat in prompts]
    return torch.stack([row[-1] for row in inputs_of(model, upper, ids, kinds)]), torch.tensor(kinds)


def _some_about(model: EditableModel, fact: Fact, names: Sequence[str], random: Random) -> list[Prompt]:
    """Returns some prompts of the fact of either kind, each about one of `names`."""
    prompts = []
    for chat, wordings in ((False, fact.wordings.statements), (True, fact.wordings.questions)):
        for text in random.sample(wordings, min(SAID, len(wordings))):
            name = random.choice(names)
            prompts.append(prompt_of(model, renamed(text, fact.subject, name), name, chat=chat))
    return prompts


def said_behind(
    model: EditableModel, upper: int, prompts: Sequence[Prompt], answered: int = ANSWERED
) -> list[Tensor]:  # fmt: skip
    """Returns what the MLP reads [tokens, d] at the tokens that the model goes on to say behind each of `prompts`.

    Nothing is asked there any more, but a sentence in a fact's words often begins.
    """
    return behind(*untold(model, upper, prompts, answered, answered))


def behind(lessons: Sequence[Lesson], rows: Sequence[Tensor]) -> list[Tensor]:
    """Returns of the `rows` [positions, d] of untold lessons those behind their prompts."""
    return [row[lesson.first + 1 :] for lesson, row in zip(lessons, rows, strict=True)]
