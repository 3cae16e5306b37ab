"""Names the parts of decoders of the supported families: Llama, Qwen, Mistral, Gemma, GPT-2, GPT-J, NeoX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from core.errors.base import ModelUnavailable

BLOCKS = ("model.layers", "transformer.h", "gpt_neox.layers")
NORMS = ("model.norm", "transformer.ln_f", "gpt_neox.final_layer_norm")
_DOWN = ("mlp.down_proj", "mlp.c_proj", "mlp.fc_out", "mlp.dense_4h_to_h")


def default_modules(model: nn.Module) -> tuple[str, ...]:
    """Returns the down-projections of the two middle blocks, where edits work best (docs/findings.md)."""
    prefix, blocks = part_of(model, BLOCKS)
    name = part_of(blocks[0], _DOWN)[0]
    last = len(blocks) // 2
    return tuple(f"{prefix}.{number}.{name}" for number in range(max(last - 1, 0), last + 1) if number < len(blocks))


def part_of(model: nn.Module, names: Sequence[str]) -> tuple[str, Any]:
    """Returns the first of `names` that names a part of the model, and that part. Raises ModelUnavailable."""
    for name in names:
        if has(model, name):
            return name, model.get_submodule(name)
    raise ModelUnavailable(f"a {type(model).__name__} is not of a supported family (Llama, Qwen, Mistral, Gemma, GPT)")


def block_of(model: nn.Module, module: str) -> int:
    """Returns the number of the block that holds `module`. Raises ModelUnavailable where no block does."""
    prefix = part_of(model, BLOCKS)[0]
    number = module.removeprefix(f"{prefix}.").partition(".")[0]
    if not module.startswith(f"{prefix}.") or not number.isdecimal():
        raise ModelUnavailable(f"module {module!r} is in no block of the model; name one below {prefix}.0")
    return int(number)


def weight_of(module: nn.Module) -> Tensor:
    """Returns the weight [d_out, d_in] of `module`, a view; GPT-2's Conv1D holds it transposed."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    return weight.data.T if isinstance(module, Conv1D) else weight.data


def has(model: nn.Module, name: str) -> bool:
    """Returns whether the model has a part of that name."""
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True
