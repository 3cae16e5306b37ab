"""Tells on which texts memory neurons change nothing, without running the model on them again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.weights.model.editable_model import EditableModel
from core.weights.neuron.inputs import mlp_inputs


class Silence:
    """Keeps what MLPs of the base model read in texts, and compares live neurons with it."""

    def __init__(self, model: EditableModel) -> None:
        self._model = model
        self._read: dict[tuple[str, tuple[int, ...]], Tensor] = {}  # MLP and token ids -> inputs [tokens, d]

    def holds(self, texts: Sequence[tuple[int, ...]]) -> list[bool]:
        """Returns for each text, given as token ids, whether the live model computes what its base does, to the bit.

        It does where no neuron responds. Once matrices are edited as well, nothing is known, and the result is False.
        """
        model = self._model
        if any(not torch.equal(model.weight(module), model.base_weights[module]) for module in model.modules):
            return [False] * len(texts)
        silent = [True] * len(texts)
        for mlp, neurons in model.neurons.items():
            if len(neurons.rows):
                self._prepare(mlp, texts)
                loud = [bool(neurons.responses(self._read[mlp, text]).any()) for text in texts]
                silent = [before and not responds for before, responds in zip(silent, loud, strict=True)]
        return silent

    def _prepare(self, mlp: str, texts: Sequence[tuple[int, ...]]) -> None:
        """Runs the base model on those of `texts` that it was not run on yet."""
        new = [text for text in dict.fromkeys(texts) if (mlp, text) not in self._read]
        if not new:
            return
        block = self._model.family.number_of_block(mlp)
        with self._model.with_weights(self._model.base_weights):
            # a text of one token, because `mlp_inputs` leaves out what all texts have in common
            *inputs, _ = mlp_inputs(self._model, block, [*new, new[0][:1]])
        self._read |= {(mlp, text): rows.clone() for text, rows in zip(new, inputs, strict=True)}
