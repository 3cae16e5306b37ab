"""A quick look at what an edit did to everything else, so cheap that each telling can afford it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from core.facts import Fact
from core.state.memory import Memory
from core.state.unanswered import unanswered_questions
from core.unchanged import Unchanged
from core.weights.evaluation.audit import Ordinary
from core.weights.evaluation.unchanged import still_said
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids

EACH = 16  # questions of a kind


class Glance:
    """Asks the live model a few of the questions of an audit. Keeps what the pristine model answers."""

    def __init__(self, model: EditableModel, held_out: Callable[[], Ordinary]) -> None:
        self._model = model
        self._held_out = held_out
        self._answers: dict[tuple[int, ...], list[int]] = {}

    def at(self, memory: Memory, facts: Sequence[Fact]) -> Unchanged:
        """How many questions the live weights, into which `facts` were written, answer as the pristine ones do."""
        ordinary = self._held_out()
        questions = unanswered_questions(memory, facts, each=1)
        chosen = Random(memory.version).sample(questions, min(len(questions), EACH))
        kinds = (
            ordinary.neighbours[:EACH],
            ordinary.strangers[:EACH],
            [self._model.chat_ids([], question) for question in chosen],
        )
        same = self._same([prompt for prompts in kinds for prompt in prompts])
        shares = []
        for prompts in kinds:
            of_kind, same = same[: len(prompts)], same[len(prompts) :]
            shares.append(sum(of_kind) / len(of_kind) if of_kind else 1.0)
        neighbours, strangers, untold = shares
        return Unchanged(neighbours=neighbours, strangers=strangers, untold=untold, asked=max(map(len, kinds)))

    def _same(self, prompts: Sequence[Sequence[int]]) -> list[bool]:
        keys = [tuple(prompt) for prompt in prompts]
        new = [key for key in dict.fromkeys(keys) if key not in self._answers]
        if new:
            with self._model.with_weights(self._model.base_weights):
                self._answers |= dict(zip(new, generate_ids(self._model, new, sentence=True), strict=True))
        return still_said(self._model, keys, [self._answers[key] for key in keys])
