"""Turns memory neurons into hidden units of a Llama MLP, so that a plain model computes them.

A neuron is `u * clip(g, 0, 1)` with g = w . x + b. An MLP computes `down(silu(gate(x)) * up(x))`, and where its layers
have biases, two units with up rows of zero and up biases of one add `u * (silu(BETA g) - silu(BETA (g - 1))) / BETA`.
That differs from the neuron by at most 0.28 / BETA, just where g is 0 or 1. BETA is a power of two, so that rows and
values are scaled exactly and float32 cancels no more than it does with a small BETA.

Largest difference of a logit, measured at all tokens of a text in float32 with two neurons that change logits by 1.5
(a tiny Llama of random weights) and by 5.1 (SmolLM2-135M); greedy answers were equal at every token:

    BETA     tiny Llama    SmolLM2-135M
    2^4      1e-3
    2^8      4e-7          3e-5
    2^16     4e-7          4e-5
    2^22                   4e-5
    2^24     4e-7

2^16 leaves 4e-6 of a value at the thresholds, and is far from the largest numbers of float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import marks_at

BETA = 2.0**16


def holds_neurons(model: EditableModel) -> bool:
    """Returns whether neurons can become hidden units: the MLP is that of Llama, with silu and optional biases."""
    config = model.network.config
    return config.model_type == "llama" and config.hidden_act in ("silu", "swish")


def with_hidden_units(model: EditableModel, weights: Mapping[str, Tensor]) -> Any:
    """Returns a network with `weights`, in float32, whose MLPs hold the neurons as hidden units.

    Its configuration has `mlp_bias` and one larger `intermediate_size`; MLPs with fewer neurons have units of zero.

    Args:
        model: one that `holds_neurons`, not quantized; it is not changed.
        weights: module -> W [d_out, d_in]; MLP -> its neurons [n, 2 d + 1].
    """
    config = copy.deepcopy(model.network.config)
    config.mlp_bias, config.dtype = True, torch.float32
    mlps = [f"{model.family.blocks}.{number}.{model.family.mlp}" for number in range(len(model.blocks))]
    rows = {mlp: _rows(model, weights, mlp) for mlp in mlps}
    config.intermediate_size += 2 * max(map(len, rows.values()))
    with torch.device("meta"):
        network = type(model.network)(config)
    state = {name: tensor.float() for name, tensor in model.network.state_dict().items()}
    state |= {f"{module}.weight": weights[module].float().contiguous() for module in model.modules}
    for mlp in mlps:
        state |= _widened(mlp, state, rows[mlp], config.intermediate_size)
    network.load_state_dict(state, assign=True)
    network.tie_weights()
    network.generation_config = model.network.generation_config
    return network.eval()


def _rows(model: EditableModel, weights: Mapping[str, Tensor], mlp: str) -> Tensor:
    """Returns the neurons and the marks [n, 2 d + 1] at an MLP."""
    none = torch.zeros(0, 2 * model.hidden_width + 1)
    return torch.cat([weights.get(name, none) for name in (mlp, marks_at(mlp))]).to(model.device)


def _widened(mlp: str, state: Mapping[str, Tensor], rows: Tensor, units: int) -> dict[str, Tensor]:
    """Returns the six tensors of an MLP with neurons [n, 2 d + 1] behind its own units, and `units` of them in all."""
    width = rows.shape[1] // 2
    w, b, u = rows[:, :width], rows[:, width], rows[:, width + 1 :]
    gate, up, down = (state[f"{mlp}.{name}.weight"] for name in ("gate_proj", "up_proj", "down_proj"))
    ones, pad = torch.ones(2 * len(rows), device=b.device), units - len(gate) - 2 * len(rows)
    gate_bias, up_bias = (
        state.get(f"{mlp}.{name}.bias", gate.new_zeros(len(gate))) for name in ("gate_proj", "up_proj")
    )
    down_bias = state.get(f"{mlp}.down_proj.bias", gate.new_zeros(width))
    return {
        f"{mlp}.gate_proj.weight": _padded(torch.cat([gate, BETA * w, BETA * w]), pad),
        f"{mlp}.gate_proj.bias": _padded(torch.cat([gate_bias, BETA * b, BETA * (b - 1)]), pad),
        f"{mlp}.up_proj.weight": _padded(torch.cat([up, torch.zeros_like(w), torch.zeros_like(w)]), pad),
        f"{mlp}.up_proj.bias": _padded(torch.cat([up_bias, ones]), pad),
        f"{mlp}.down_proj.weight": _padded(torch.cat([down.T, u / BETA, -u / BETA]), pad).T.contiguous(),
        f"{mlp}.down_proj.bias": down_bias,
    }


def _padded(tensor: Tensor, rows: int) -> Tensor:
    """Returns `tensor` with so many rows of zeros behind it."""
    return torch.cat([tensor, tensor.new_zeros(rows, *tensor.shape[1:])])
