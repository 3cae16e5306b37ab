"""Runs memory neurons in the forward pass: they read the input of an MLP and add to what its block adds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.weights.model.families import Family


class Neurons:
    """The memory neurons at one MLP: `u * clip(w . x + b, 0, 1)` for each, with x the input of the MLP.

    A token at which no neuron responds is not changed, to the bit. Everything is computed in float32, because responses
    are compared with thresholds that half precision would blur.

    Attributes:
        rows: [n, 2 d + 1] float32, on the device of the model: w, b and u of each neuron.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        self.rows = torch.zeros(0, 2 * width + 1, device=device)
        self._width = width
        self._input: Tensor | None = None

    def attach(self, mlp: nn.Module, adds: nn.Module) -> None:
        """Begins to read the inputs of `mlp` and to add to the outputs of `adds`, the module of a block that feeds the
        residual stream: the MLP, or the norm behind it."""
        mlp.register_forward_pre_hook(self._read)
        adds.register_forward_hook(self._add)

    def install(self, rows: Tensor) -> None:
        """Replaces the neurons by `rows` [n, 2 d + 1]."""
        self.rows = rows.to(self.rows)

    def responses(self, x: Tensor) -> Tensor:
        """Returns [..., n] how far each neuron responds to MLP inputs [..., d], 0 to 1."""
        detectors, biases = self.rows[:, : self._width], self.rows[:, self._width]
        with torch.autocast(x.device.type, enabled=False):
            return (x.float() @ detectors.T + biases).clamp(0, 1)

    def _read(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._input = inputs[0] if len(self.rows) else None

    def _add(self, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self._input is None:
            return None
        x, self._input = self._input, None
        return self.added(x, output)

    def added(self, x: Tensor, output: Tensor) -> Tensor | None:
        """Returns `output` [..., d] and what the neurons add to it at MLP inputs `x` [..., d]; None where none does."""
        responses = self.responses(x)
        if not responses.any():
            return None
        with torch.autocast(output.device.type, enabled=False):
            return (output.float() + responses @ self.rows[:, self._width + 1 :]).to(output.dtype)


MARKS = ".marks"  # after the name of an MLP, names the marks there


def marks_at(mlp: str) -> str:
    """Returns the name under which a delta and the weights hold the marks at an MLP."""
    return f"{mlp}{MARKS}"


def attach_neurons(network: Any, family: Family) -> dict[str, Neurons]:
    """Returns the neurons of each block's MLP, none yet, and then the marks of each."""
    device, width = next(network.parameters()).device, int(network.config.hidden_size)
    numbered = enumerate(network.get_submodule(family.blocks))
    blocks = {f"{family.blocks}.{number}.{family.mlp}": block for number, block in numbered}
    neurons = {name: Neurons(width, device) for name in (*blocks, *map(marks_at, blocks))}
    for mlp, block in blocks.items():
        for name in (mlp, marks_at(mlp)):
            neurons[name].attach(block.get_submodule(family.mlp), block.get_submodule(family.adds))
    return neurons
