"""Keeps what a training has learned until it ends, so that one that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch

from core.errors.base import ArtifactCorrupt, ArtifactMissing, Damaged
from core.events.facts import Columns
from core.ids import Digest, FactId
from core.state.plan import Term
from core.weights.deltas.fixed_point import Delta
from core.weights.deltas.neurons import encode_neurons
from core.weights.neuron.values import Values
from service.weights.delta_store import DeltaStore
from store.artifacts import Artifacts
from store.measured import Measured

VERSION = "values of a training, 1"
MLP = "values"  # under which a delta holds them


class ValuesCache:
    """The values that one training has learned of some of its facts, each sealed under the key of its fact.

    Args:
        training: everything that its result depends on, beside the facts.
        facts: that it teaches, in their order.
    """

    def __init__(
        self, artifacts: Artifacts, deltas: DeltaStore, training: Sequence[object], facts: Sequence[FactId]
    ) -> None:
        self._artifacts = artifacts
        self._deltas = deltas
        self._measured = Measured(artifacts)
        self._training = training
        self._facts = facts
        self._used = dict[Digest, Digest]()  # key of a part -> artifact of its values

    def get(self, part: Sequence[int]) -> Values | None:
        """Returns the values of the facts with these indices; None where they were not learned yet, or are lost.

        Raises WordsErased: one of the facts was erased meanwhile.
        """
        key = self._key(part)
        if (entry := self._measured.get(key)) is None:
            return None
        known = json.loads(entry[1])
        term = Term(delta=Digest(known["values"]), first=0, count=2 * len(part), scale=1.0)
        try:
            chosen = self._deltas.columns([term])
        except (ArtifactMissing, ArtifactCorrupt, Damaged):
            return None
        self._used[key] = Digest(known["values"])
        parts = [delta.factors[MLP][0].select(columns).to_float() for delta, columns, _ in chosen]
        return Values(
            values=torch.cat(parts, dim=1).T.float(),
            length=torch.tensor(known["length"]),
            before=torch.tensor(known["before"]),
            loss=torch.tensor(known["loss"]),
            divergence=known["divergence"],
            steps=known["steps"],
        )

    def put(self, part: Sequence[int], values: Values) -> None:
        """Keeps the values of the facts with these indices, durably."""
        rows = values.values.cpu()
        nothing = torch.zeros_like(rows), torch.zeros(len(rows))
        owners = [
            Columns(
                fact=self._facts[member], first=2 * number, count=2, keys=0, residual=0.0, achieved=0.0, learned=True
            )
            for number, member in enumerate(part)
        ]
        key = self._key(part)
        self._used[key] = self._deltas.put(Delta({MLP: encode_neurons(*nothing, rows)}), owners)
        numbers: Mapping[str, object] = {
            "values": self._used[key],
            "length": values.length.tolist(),
            "before": values.before.tolist(),
            "loss": values.loss.tolist(),
            "divergence": values.divergence,
            "steps": values.steps,
        }
        self._measured.replace(key, json.dumps(numbers).encode())

    def clear(self) -> None:
        """Removes all of it, because the training has ended."""
        for key, values in self._used.items():
            self._measured.remove(key)
            self._artifacts.remove(values)
        self._used.clear()

    def _key(self, part: Sequence[int]) -> Digest:
        inputs = [VERSION, *self._training, [self._facts[member] for member in part]]
        return Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())
