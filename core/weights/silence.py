"""Tells on which texts memory neurons change nothing, without running the model on them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from core.weights.model.editable_model import EditableModel
from core.weights.neuron.inputs import inputs_at, shared_by

HEAD = 4  # tokens by which texts that begin alike are known


class Silence:
    """Keeps what MLPs of the base model read in texts, and compares live neurons with it."""

    def __init__(self, model: EditableModel) -> None:
        self._model = model
        # MLP and token ids -> inputs [tokens, d] of the beginning that the text shares with others, and of the rest
        self._read: dict[tuple[str, tuple[int, ...]], tuple[Tensor, Tensor]] = {}

    def holds(self, texts: Sequence[tuple[int, ...]]) -> list[bool]:
        """Returns for each text, given as token ids, whether the live model computes what its base does, to the bit.

        It does where no neuron responds. Once matrices are edited as well, nothing is known, and the result is False.
        """
        model = self._model
        if any(not torch.equal(model.weight(module), model.base_weights[module]) for module in model.modules):
            return [False] * len(texts)
        live = {mlp: neurons for mlp, neurons in model.neurons.items() if len(neurons.rows)}
        for group in alike(texts):
            self._prepare(list(live), group)
        silent = [True] * len(texts)
        for mlp, neurons in live.items():
            loud = [
                any(bool(neurons.responses(rows).any()) for rows in self._read[mlp, text] if len(rows))
                for text in texts
            ]  # fmt: skip
            silent = [before and not responds for before, responds in zip(silent, loud, strict=True)]
        return silent

    def _prepare(self, mlps: Sequence[str], texts: Sequence[tuple[int, ...]]) -> None:
        """Runs the base model on those of `texts` that it was not run on yet."""
        new = [text for text in dict.fromkeys(texts) if any((mlp, text) not in self._read for mlp in mlps)]
        if not new:
            return
        blocks, shared = [self._model.family.number_of_block(mlp) for mlp in mlps], shared_by(new)
        with self._model.with_weights(self._model.base_weights):
            behind = inputs_at(self._model, blocks, new)
            # with a text of one token, because `inputs_at` leaves out what all texts have in common
            begun = inputs_at(self._model, blocks, [new[0][:shared], new[0][:1]])[0] if shared else ()
        for number, mlp in enumerate(mlps):
            head = begun[number].clone() if shared else behind[0][number][:0]
            self._read |= {(mlp, text): (head, rows[number].clone()) for text, rows in zip(new, behind, strict=True)}


def alike(texts: Sequence[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Returns `texts` in two groups, so that those of the first, which are chats, share a beginning to be run once."""
    commonest = [head for head, _ in Counter(text[:HEAD] for text in texts).most_common(1)]
    groups = [[text for text in texts if (text[:HEAD] in commonest) is kind] for kind in (True, False)]
    return [group for group in groups if group]
