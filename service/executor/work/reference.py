"""What follows from the base model and its reference text alone, computed once for each memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from core.events.memory import BaseModel
from core.ids import Digest
from core.weights.evaluation.audit import BaseAnswers, ReferenceIds, documents, split
from core.weights.evaluation.perplexity import losses_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText, read_reference
from service.weights.continuations import Continuations
from store.artifacts import Artifacts


class Reference:
    """The reference text of a memory in its two halves, and what the base model makes of it.

    Attributes:
        digest: of the reference text.
        answers: of the base model, generated once for each question.
    """

    def __init__(self, model: EditableModel, base: BaseModel, artifacts: Artifacts, digest: Digest) -> None:
        self.digest = digest
        self._base = base
        self._model = model
        self._artifacts = artifacts
        self.answers = BaseAnswers(model)

    @property
    def held_out(self) -> ReferenceIds:
        """The half that controls are taken from."""
        return self._halves[0]

    @property
    def rehearsed(self) -> ReferenceIds:
        """The half that trainings may rehearse."""
        return self._halves[1]

    @cached_property
    def documents(self) -> list[list[int]]:
        """Held-out texts, as token ids, whose perplexity is watched."""
        return documents(self.held_out, self._text)

    def continued(self, prompts: Sequence[tuple[int, ...]]) -> list[list[int]]:
        """Returns how the base model continues each prompt, all token ids, to the end of the sentence."""
        return self._continuations.of(prompts)

    @cached_property
    def losses(self) -> list[float]:
        """What the base model loses on each of the documents, in nats."""
        with self._model.with_weights(self._model.base_weights):
            return losses_of(self._model, self.documents)

    @cached_property
    def _continuations(self) -> Continuations:
        asked = (*self.held_out.neighbours, *self.held_out.strangers)
        return Continuations(self._model, self._base, self.digest, self._artifacts, map(tuple, asked))

    @cached_property
    def _text(self) -> ReferenceText:
        return read_reference(self._model, self._artifacts.get(self.digest))

    @cached_property
    def _halves(self) -> tuple[ReferenceIds, ReferenceIds]:
        return split(self._text)
