"""Runs the model's last feed-forward layer only at the tokens whose outputs are needed.

This is exact, because no layer above mixes tokens. It saves a seventh of a training step of dormouse, less in a deep
model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from core.weights.model.editable_model import EditableModel


@contextmanager
def only_at(model: EditableModel, needed: Tensor) -> Iterator[None]:
    """Makes last hidden states right only where `needed` [n, tokens] says so, in a pass over texts [n, tokens]."""

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0][needed][None], *inputs[1:])

    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.new_zeros(*needed.shape, output.shape[-1]).index_put((needed,), output[0])

    layer = model.blocks[-1].get_submodule(model.family.mlp)
    handles = [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
