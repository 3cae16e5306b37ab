"""Runs one network for rows with weights of their own: matrices of edited modules, and memory neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS, Neurons

Rows = slice | list[int]


@dataclass(frozen=True, slots=True, eq=False)
class RowWeights:
    """Weights of one memory at one version, ready to be used.

    Attributes:
        matrices: edited module -> weight [d_out, d_in]; the base model's own tensor where nothing is edited.
        neurons: MLP, or that with `.marks` behind it -> the neurons there, where it has any.
    """

    matrices: Mapping[str, Tensor]
    neurons: Mapping[str, Neurons]

    def nbytes(self, model: EditableModel) -> int:
        """Returns what they hold beside the base model."""
        edited = [matrix for module, matrix in self.matrices.items() if matrix is not model.base_weights[module]]
        return sum(tensor.nbytes for tensor in (*edited, *(neurons.rows for neurons in self.neurons.values())))


def row_weights(model: EditableModel, weights: Mapping[str, Tensor]) -> RowWeights:
    """Returns `weights`, of which those that are missing are the base model's, ready to be used on `model`."""
    matrices = dict[str, Tensor]()
    for module in model.modules:
        base = model.base_weights[module]
        weight = weights.get(module, base).to(base)
        matrices[module] = base if torch.equal(weight, base) else weight
    neurons = dict[str, Neurons]()
    for mlp in model.neurons:
        if (rows := weights.get(mlp)) is not None and len(rows):
            neurons[mlp] = Neurons(model.hidden_width, model.device)
            neurons[mlp].install(rows)
    return RowWeights(matrices, neurons)


class Mixed:
    """A network that runs each row of a batch with weights of its own; everything else of it is shared.

    A product whose weight is the same for all rows is one product.
    """

    def __init__(self, model: EditableModel) -> None:
        """Uses a clone of `model`, whose live weights do not matter."""
        self.model = model.clone()
        self.model.install({mlp: model.base_weights[mlp] for mlp in model.neurons})
        self._rows: Sequence[RowWeights] = ()
        self._input: Tensor | None = None
        for module in self.model.modules:
            projection = self.model.network.get_submodule(module)
            projection.forward = partial(self._project, module, projection, projection.forward)
        for mlp, block in self._blocks().items():
            block.get_submodule(self.model.family.mlp).register_forward_pre_hook(self._read)
            block.get_submodule(self.model.family.adds).register_forward_hook(partial(self._add, mlp))

    def run(self, rows: Sequence[RowWeights], **inputs: Any) -> Any:
        """Returns the output of the network for a batch whose rows have these weights."""
        self._rows = rows
        try:
            return self.model.network(**inputs)
        finally:
            self._rows, self._input = (), None

    def _blocks(self) -> dict[str, nn.Module]:
        family = self.model.family
        return {f"{family.blocks}.{number}.{family.mlp}": block for number, block in enumerate(self.model.blocks)}

    def _project(self, module: str, projection: Any, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        groups = _groups([weights.matrices[module] for weights in self._rows])
        parts = list[Tensor]()
        for weight, at in groups:
            projection.weight.data = weight.T if self.model.family.transposed else weight
            parts.append(forward(x if isinstance(at, slice) else x[at]))
        return parts[0] if len(groups) == 1 else _in_order(parts, [at for _, at in groups])

    def _read(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._input = inputs[0]

    def _add(self, mlp: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor | None:
        x, self._input = self._input, None
        changed = output
        for name in (mlp, mlp + MARKS):
            for neurons, at in _groups([weights.neurons.get(name) for weights in self._rows]):
                if neurons is None or x is None:
                    continue
                added = neurons.added(x[at], changed[at])
                if added is None:
                    continue
                if isinstance(at, slice):
                    changed = added
                else:
                    changed = changed.index_copy(0, torch.tensor(at, device=changed.device), added)
        return None if changed is output else changed


def _groups(used: Sequence[Any]) -> list[tuple[Any, Rows]]:
    """Returns each object once, and the rows that use it: a slice where all do."""
    at = dict[int, list[int]]()
    for row, thing in enumerate(used):
        at.setdefault(id(thing), []).append(row)
    if len(at) == 1:
        return [(used[0], slice(None))]
    return [(used[rows[0]], rows) for rows in at.values()]


def _in_order(parts: Sequence[Tensor], at: Sequence[Rows]) -> Tensor:
    """Returns the rows of `parts` where they belong."""
    order = torch.tensor([row for rows in at if isinstance(rows, list) for row in rows], device=parts[0].device)
    whole = torch.cat(list(parts))
    return torch.empty_like(whole).index_copy_(0, order, whole)
