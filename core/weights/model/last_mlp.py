"""The model's last feed-forward layer, only at the tokens whose outputs are asked for.

Nothing above it reads other tokens, so what it would make of them is left out: exact, and a seventh of a training step
of dormouse, less in a deep model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from core.weights.model.editable_model import EditableModel


@contextmanager
def only_at(model: EditableModel, asked: Tensor) -> Iterator[None]:
    """In a pass over texts [n, tokens]: last hidden states are right where `asked` [n, tokens] says so."""

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0][asked][None], *inputs[1:])

    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.new_zeros(*asked.shape, output.shape[-1]).index_put((asked,), output[0])

    layer = model.blocks[-1].get_submodule("mlp")
    handles = [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
