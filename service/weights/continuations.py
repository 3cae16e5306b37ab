"""Keeps how a base model continues the prompts that audits ask of every memory on it, beside the artifacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from core.events.memory import BaseModel
from core.ids import Digest
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids
from core.weights.silence import alike
from store.artifacts import Artifacts
from store.measured import Measured

VERSION = "continuations, 1"


class Continuations:
    """How a base model continues prompts to the end of the sentence, each generated once.

    Those of the reference text are generated once for all memories on the base model. Others are kept in this process
    alone, because they may hold the words of facts.
    """

    def __init__(
        self,
        model: EditableModel,
        base: BaseModel,
        text: Digest,
        artifacts: Artifacts,
        lasting: Iterable[tuple[int, ...]],
    ) -> None:
        """Reads what is kept.

        Args:
            model: whose base weights continue the prompts.
            text: artifact of the reference text.
            lasting: prompts of that text, as token ids.
        """
        self._model = model
        self._measured = Measured(artifacts)
        self._lasting = frozenset(lasting)
        inputs = [VERSION, base.digest, base.dtype, base.quantization, text]
        self._key = Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())
        kept = self._measured.get(self._key)
        self._known = {tuple(prompt): ids for prompt, ids in json.loads(kept[1])} if kept else {}

    def of(self, prompts: Sequence[tuple[int, ...]]) -> list[list[int]]:
        """Returns the continuations of prompts, all token ids; generates those that are not known."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        for chosen in alike(new):
            with self._model.with_weights(self._model.base_weights):
                made = generate_ids(self._model, chosen, sentence=True, share=True)
            self._known |= dict(zip(chosen, made, strict=True))
        if self._lasting.intersection(new):
            kept = [(prompt, ids) for prompt, ids in self._known.items() if prompt in self._lasting]
            self._measured.replace(self._key, json.dumps(kept).encode())
        return [self._known[prompt] for prompt in prompts]
