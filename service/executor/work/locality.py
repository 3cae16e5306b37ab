"""A measurement of locality for every injection: whether an edit changed answers that it has nothing to do with."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from core.facts import Fact
from core.state.memory import Memory
from core.state.unanswered import unanswered_questions
from core.unchanged import Unchanged
from core.weights.evaluation.unchanged import predicts_answers
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids
from service.executor.work.reference import Reference

EACH = 16  # questions of a kind


class LocalityCheck:
    """Asks the live model some of the questions of an audit, and keeps the base model's answers to them."""

    def __init__(self, model: EditableModel, reference: Reference) -> None:
        self._model = model
        self._reference = reference
        self._answers: dict[tuple[int, ...], list[int]] = {}  # token ids of a prompt -> those of the answer

    def measure(self, memory: Memory, facts: Sequence[Fact]) -> Unchanged:
        """Returns the shares of questions that the live weights, which carry `facts`, answer as the base model does."""
        held_out = self._reference.held_out
        questions = unanswered_questions(memory, facts, each=1)
        chosen = Random(memory.version).sample(questions, min(len(questions), EACH))
        kinds = (
            held_out.neighbours[:EACH],
            held_out.strangers[:EACH],
            [self._model.chat_ids([], question) for question in chosen],
        )
        same = self._same([prompt for prompts in kinds for prompt in prompts])
        shares = []
        for prompts in kinds:
            of_kind, same = same[: len(prompts)], same[len(prompts) :]
            shares.append(sum(of_kind) / len(of_kind) if of_kind else 1.0)
        neighbours, strangers, unanswered = shares
        return Unchanged(neighbours=neighbours, strangers=strangers, unanswered=unanswered, asked=max(map(len, kinds)))

    def _same(self, prompts: Sequence[Sequence[int]]) -> list[bool]:
        """Returns for each prompt, given as token ids, whether the answer is the base model's."""
        keys = [tuple(prompt) for prompt in prompts]
        new = [key for key in dict.fromkeys(keys) if key not in self._answers]
        if new:
            with self._model.with_weights(self._model.base_weights):
                self._answers |= dict(zip(new, generate_ids(self._model, new, sentence=True), strict=True))
        return predicts_answers(self._model, keys, [self._answers[key] for key in keys])
