"""Keeps beside the artifacts what was measured of strangers in words of the library, for all memories on a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from core.errors.base import Damaged
from core.events.memory import BaseModel
from core.ids import Digest
from core.weights.neuron.strangers import Strangers
from store.artifacts import Artifacts
from store.measured import Measured


class StrangersCache:
    """Measurements of strangers on one base model, so that the first fact in known words costs as little as the next.

    Safe for several processes: where two measure the same, they keep the same.
    """

    def __init__(self, base: BaseModel, artifacts: Artifacts) -> None:
        self._base = [base.digest, base.dtype, base.quantization]
        self._artifacts = artifacts
        self._measured = Measured(artifacts)

    def get(self, inputs: Sequence[str]) -> Strangers | None:
        """Returns what was measured of these inputs; None where it was not, or is damaged."""
        entry = self._measured.get(self._key(inputs))
        try:
            return Strangers.from_bytes(entry[1]) if entry else None
        except Damaged:
            return None

    def put(self, inputs: Sequence[str], strangers: Strangers) -> None:
        """Keeps what was measured."""
        self._measured.put(self._key(inputs), self._artifacts.put(strangers.to_bytes()))

    def _key(self, inputs: Sequence[str]) -> Digest:
        return Digest(hashlib.sha256(json.dumps(["strangers", *self._base, *inputs]).encode()).hexdigest())
