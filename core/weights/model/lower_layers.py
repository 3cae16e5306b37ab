"""Caches what the layers below the first edited module compute, because training reads the same texts many times.

Nothing below that module ever changes. A text is run through those layers once; then the module's inputs, and what its
block adds to its outputs, stand in for the blocks up to there. This saves a third of a step's work, more in a deep
model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel

BATCH = 32  # texts in one pass
STRETCH = 1.5  # factor on the module's weights in the test whether its block only adds to its outputs
TOLERANCE = 0.25  # largest error, relative to what that does to hidden states; a norm after the module exceeds it

Text = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LowerLayerCache:
    """Texts as the first edited module sees them.

    Attributes:
        keys: text -> [tokens, d_in], the module's inputs.
        rest: text -> [tokens, d] float32, what its block adds to the module's outputs.
        tupled: whether blocks hand on a tuple.
    """

    keys: Mapping[Text, Tensor]
    rest: Mapping[Text, Tensor]
    tupled: bool

    @contextmanager
    def standing_in(self, model: EditableModel, texts: Sequence[Sequence[int]]) -> Iterator[None]:
        """Replaces the blocks up to the first edited one, for a pass over `texts` padded on the right."""
        blocks, module = model.blocks, model.modules[0]
        replaced = list(blocks[: model.block_of(module) + 1])
        keys, rest = (
            nn.utils.rnn.pad_sequence([cached[tuple(text)] for text in texts], batch_first=True)
            for cached in (self.keys, self.rest)
        )
        for number, block in enumerate(replaced):
            blocks[number] = _Given(block, self.tupled)
        blocks[len(replaced) - 1] = _Resumed(replaced[-1], self.tupled, model.network.get_submodule(module), keys, rest)
        try:
            yield
        finally:
            for number, block in enumerate(replaced):
                blocks[number] = block


class _Given(nn.Module):
    """Stands in for a block and returns its input."""

    def __init__(self, block: nn.Module, tupled: bool) -> None:
        super().__init__()
        self._block = [block]  # in a list, so that torch does not take it for a submodule
        self._tupled = tupled

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Any:
        return (hidden,) if self._tupled else hidden

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the block; models read some, such as its kind of attention."""
        return getattr(self.__dict__["_block"][0], name)


class _Resumed(_Given):
    """Stands in for the first edited block: returns `layer(keys)` plus the `rest`."""

    def __init__(self, block: nn.Module, tupled: bool, layer: nn.Module, keys: Tensor, rest: Tensor) -> None:
        super().__init__(block, tupled)
        self._layer, self._keys, self._rest = [layer], keys, rest

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Any:
        return super().forward((self._layer[0](self._keys).float() + self._rest).to(hidden.dtype))


class _Read(Exception):
    """Ends a pass after the first edited block."""


@torch.no_grad()
def below(model: EditableModel, texts: Sequence[Sequence[int]]) -> LowerLayerCache | None:
    """Runs `texts` through the base model's lower blocks once.

    Returns:
        None where the cache cannot stand in, because the block does more than add to the module's outputs: Gemma 2
        normalises them first.
    """
    order = sorted({tuple(text) for text in texts}, key=len)
    cache = LowerLayerCache({}, {}, False)
    with model.with_weights(model.base_weights):
        for start in range(0, len(order), BATCH):
            cache = _read(model, order[start : start + BATCH], cache)
        return cache if order and _holds(model, cache, order[-1]) else None


def _read(model: EditableModel, texts: Sequence[Text], before: LowerLayerCache) -> LowerLayerCache:
    """Returns `before` with `texts` added."""
    module = model.modules[0]
    layer, block = model.network.get_submodule(module), model.blocks[model.block_of(module)]
    seen: dict[str, Any] = {}

    def use(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.update(keys=inputs[0], made=output)

    def leave(_: nn.Module, __: tuple[Any, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        seen["tupled"] = isinstance(output, tuple)
        seen["rest"] = (output[0] if isinstance(output, tuple) else output).float() - seen["made"].float()
        raise _Read

    handles = [layer.register_forward_hook(use), block.register_forward_hook(leave)]
    ids, mask = pad(texts, model.pad_token, model.device)
    try:
        with suppress(_Read):
            model.network.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    keys = {text: seen["keys"][row, : len(text)].clone() for row, text in enumerate(texts)}
    rest = {text: seen["rest"][row, : len(text)].clone() for row, text in enumerate(texts)}
    return LowerLayerCache({**before.keys, **keys}, {**before.rest, **rest}, seen["tupled"])


def _holds(model: EditableModel, cache: LowerLayerCache, text: Text) -> bool:
    """Returns whether the model with stand-ins follows a change of the module's weights on `text`."""
    module = model.modules[0]
    base = _hidden(model, text)
    with model.with_weights({module: STRETCH * model.base_weights[module]}):
        whole = _hidden(model, text)
        with cache.standing_in(model, [text]):
            short = _hidden(model, text)
    return bool((short - whole).norm() <= TOLERANCE * (whole - base).norm())


def _hidden(model: EditableModel, text: Text) -> Tensor:
    ids = torch.tensor([text], device=model.device)
    hidden: Tensor = model.network.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return hidden.float()
