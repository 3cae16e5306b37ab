"""A baseline without edits: the base model with told facts before the question, the most similar ones first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.real.answers import first_sentence, generated, text_of
from benchmarks.real.people import Asked
from core.facts import Fact
from core.texts import closed
from core.weights.model.editable_model import EditableModel
from core.wordings import in_words

MOST = 10  # facts before a question


class RemindedReplies:
    """The replies of the base model to questions behind the told facts that share the most words with them."""

    def __init__(self, model: EditableModel, facts: Sequence[Fact]) -> None:
        self._model = model
        self._facts = [(closed(in_words(fact)), _words(in_words(fact))) for fact in facts]

    def first_sentences(self, asked: Sequence[Asked]) -> list[str]:
        """Returns each reply up to the end of its first sentence."""
        return [first_sentence(reply) for reply in self._texts(asked, sentence=True)]

    def whole(self, asked: Sequence[Asked]) -> list[str]:
        """Returns each reply whole."""
        return self._texts(asked, sentence=False)

    def _texts(self, asked: Sequence[Asked], *, sentence: bool) -> list[str]:
        replies = generated(self._model, [self.reminded(question) for question in asked], sentence=sentence)
        return [text_of(self._model, ids) for ids in replies]

    def reminded(self, asked: Asked) -> Asked:
        """Returns the question behind at most `MOST` facts."""
        words = _words(asked.prompt)
        nearest = sorted(self._facts, key=lambda fact: -len(fact[1] & words))[:MOST]
        return Asked("\n".join([*(text for text, _ in nearest), "", asked.prompt]), asked.chat)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
