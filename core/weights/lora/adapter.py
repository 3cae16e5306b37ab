"""Attaches a LoRA (Hu et al. 2022) to a clone of the model, through `peft`, and reads its factors back as a delta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Delta, encode
from core.weights.model.editable_model import EditableModel

PACE_OF_A = 0.3  # of the learning rate; faster, rows of A leave the directions in which reference text is quiet


def attach_adapter(model: EditableModel, rank: int) -> None:
    """Adds a LoRA of `rank` to every edited module of `model`, with A drawn at random and B zero."""
    from peft import LoraConfig, inject_adapter_in_model  # takes a second or two, and only nights of LoRA need it

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(model.modules))
    inject_adapter_in_model(config, model.network)
    for parameter in _parameters(model, "lora_"):
        parameter.data = parameter.data.float()  # because AdamW's epsilon is zero in float16


def parameter_groups(model: EditableModel) -> list[dict[str, Any]]:
    """Returns A's and B's for an optimiser, each with its `pace`, B's the faster one: LoRA+ (Hayou et al. 2024)."""
    return [
        {"params": _parameters(model, name), "pace": pace} for name, pace in (("lora_A", PACE_OF_A), ("lora_B", 1.0))
    ]


def set_first_rows(model: EditableModel, rows: Mapping[str, Tensor]) -> None:
    """Replaces the first rows of A by `rows`, module -> [r, d_in]; r may be less than the rank."""
    with torch.no_grad():
        for module, first in rows.items():
            model.network.get_submodule(module).lora_A["default"].weight[: len(first)] = first


def install_base(model: EditableModel, weights: Mapping[str, Tensor]) -> None:
    """Makes `weights`, module -> [d_out, d_in] and MLP -> neurons, the ones below the adapter."""
    model.install({mlp: weights[mlp] for mlp in model.neurons if mlp in weights})
    with torch.no_grad():
        for module in model.modules:
            base = model.network.get_submodule(module).base_layer.weight
            base.copy_(weights[module].T if model.family.transposed else weights[module])


def extract_delta(model: EditableModel) -> Delta:
    """Returns the adapter's factors, U = B and V = A^T, on the fixed-point grid."""
    factors = {}
    for module in model.modules:
        layer = model.network.get_submodule(module)
        up, down = layer.lora_B["default"].weight, layer.lora_A["default"].weight  # [d_out, r], [r, d_in]
        factors[module] = (encode(up.detach() * layer.scaling["default"]), encode(down.detach().T))
    return Delta(factors)


def _parameters(model: EditableModel, name: str) -> list[Any]:
    return [parameter for path, parameter in model.network.named_parameters() if name in path]
