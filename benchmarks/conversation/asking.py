"""Asks a model about past dialogues: by its weights, with the dialogue in the prompt, or with retrieved turns.

All answers are greedy free generation; the weights and the base model have nothing but the question as their context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.conversation.questions import Session
from benchmarks.real.answers import BaseReplies, LiveReplies, first_sentence, text_of
from benchmarks.real.people import Asked
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids

RETRIEVED = 5  # turns before a question


class Embeddings(Protocol):
    """A model of embeddings, such as `PhraseModel`."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


Context = Callable[[int, str], tuple[Sequence[tuple[str, str]], str]]  # number of a dialogue, question -> turns, text


class Weights:
    """Answers of the live model with an empty context."""

    def __init__(self, model: EditableModel, base: BaseReplies) -> None:
        self._live = LiveReplies(model, base)

    def answers(self, asked: Sequence[tuple[int, str]]) -> list[str]:
        """Returns the first sentence of each answer."""
        return self._live.first_sentences([Asked(prompt, chat=True) for _, prompt in asked])

    def whole(self, asked: Sequence[tuple[int, str]]) -> list[str]:
        """Returns each answer whole."""
        return self._live.whole([Asked(prompt, chat=True) for _, prompt in asked])


class WithContext:
    """Answers of the base model with something before the question."""

    def __init__(self, model: EditableModel, context: Context) -> None:
        self._model, self._context = model, context

    def answers(self, asked: Sequence[tuple[int, str]]) -> list[str]:
        """Returns the first sentence of each answer."""
        return [first_sentence(text) for text in self._texts(asked, sentence=True)]

    def whole(self, asked: Sequence[tuple[int, str]]) -> list[str]:
        """Returns each answer whole."""
        return self._texts(asked, sentence=False)

    def _texts(self, asked: Sequence[tuple[int, str]], *, sentence: bool) -> list[str]:
        prompts = [self._model.chat_ids(*self._context(*question)) for question in asked]
        return [text_of(self._model, ids) for ids in generate_ids(self._model, prompts, sentence=sentence)]


def in_prompt(session: Session) -> Context:
    """Returns the context of a user who goes on in the same dialogue."""
    return lambda number, prompt: (session.dialogues[number % len(session.dialogues)].turns, prompt)


def retrieved(session: Session, model: Embeddings) -> Context:
    """Returns the context of a retrieval: the `RETRIEVED` turns of all dialogues that are nearest to the question."""
    turns = [text for dialogue in session.dialogues for text, _ in dialogue.turns]
    vectors = model.vectors(turns)

    def context(_: int, prompt: str) -> tuple[Sequence[tuple[str, str]], str]:
        nearest = (vectors @ model.vectors([prompt])[0]).argsort()[::-1][:RETRIEVED]
        return (), "\n".join([*(turns[place] for place in sorted(nearest)), "", prompt])

    return context
