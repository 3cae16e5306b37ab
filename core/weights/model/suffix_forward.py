"""Runs the blocks above the last edited one on suffixes alone.

A prefix is what comes before the first token that predicts a target, a suffix the tokens that do. A change of hidden
states at a suffix cannot reach a prefix, because attention is causal; so of prefixes the blocks above need only the
keys and values of attention, which are computed once. Suffixes of about the same length share a padded tensor; outside
of this file they are a flat list of positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

Arguments = tuple[tuple[Any, ...], dict[str, Any]]  # of a call of a block, without hidden states


class Filled(Exception):
    """Ends a pass over prefixes once the last block has cached its keys and values; nothing else of them is needed."""


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """Keys and values of prefixes, per block [contexts, heads, tokens, d]. Once filled, it is read-only.

    Without a config it keeps all tokens, also for blocks of sliding-window attention: the masks hide what is too far.
    """

    def __init__(self, last: int) -> None:
        """Filled by block number `last`, which raises `Filled`."""
        super().__init__()
        self.last, self.filled = last, False

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.filled:
            layer = self.layers[layer_idx]
            return torch.cat([layer.keys, keys], -2), torch.cat([layer.values, values], -2)
        kept: tuple[Tensor, Tensor] = super().update(keys, values, layer_idx, *args, **kwargs)
        if layer_idx == self.last:
            self.filled = True
            raise Filled
        return kept

    def repeated(self, count: int) -> PrefixCache:
        """Returns the keys and values of one context as those of `count`, to be filled with what follows in each."""
        begun = PrefixCache(self.last)
        for number, layer in enumerate(self.layers):
            with suppress(Filled):
                keys, values = (tensor.expand(count, -1, -1, -1) for tensor in (layer.keys, layer.values))
                begun.update(keys, values, number)
        begun.filled = False
        return begun

    def of(self, rows: Tensor, layers: Iterable[int]) -> PrefixCache:
        """Returns the keys and values of some contexts, `rows`, in some blocks."""
        chosen = PrefixCache(self.last)
        with suppress(Filled):
            for number in layers:
                chosen.update(self.layers[number].keys[rows], self.layers[number].values[rows], number)
        chosen.filled = True
        return chosen


def run(blocks: Iterable[nn.Module], hidden: Tensor, arguments: Iterable[Arguments]) -> Tensor:
    """Runs `hidden` [n, tokens, d] through one block after the other."""
    for block, (positional, named) in zip(blocks, arguments, strict=True):
        output = block(hidden, *positional, **named)
        hidden = output[0] if isinstance(output, tuple) else output
    return hidden


def adapted(value: Any, past: PrefixCache, rows: Tensor | None = None, count: int = 0) -> Any:
    """Returns arguments of a block with another cache in them and, given `rows`, for these of `count` contexts.

    A tensor is per context if it has that size and more than one dimension: a tensor of one dimension holds positions.
    """
    match value:
        case Cache():
            return past
        case Tensor() if rows is not None and value.ndim > 1 and len(value) == count:
            return value[rows]
        case tuple() | list():
            return type(value)(adapted(item, past, rows, count) for item in value)
        case dict():
            return {name: adapted(item, past, rows, count) for name, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class PaddedSuffixes:
    """Suffixes padded to one tensor [count, width, d].

    Attributes:
        places: [q], the index of each real token among all positions.
        slots: [q], its index in the tensor, the first two dimensions taken as one.
        past: keys and values of their prefixes.
        arguments: number of each block above -> its arguments.
    """

    places: Tensor
    slots: Tensor
    count: int
    width: int
    past: PrefixCache
    arguments: dict[int, Arguments]

    def padded(self, hidden: Tensor) -> Tensor:
        """Puts [all positions, d] into a padded tensor [count, width, d]."""
        empty = hidden.new_zeros(self.count * self.width, hidden.shape[1])
        return empty.index_copy(0, self.slots, hidden[self.places]).view(self.count, self.width, -1)

    def only(self, keep: Tensor, place: Tensor) -> PaddedSuffixes:
        """Drops the contexts whose positions are not to `keep` [p]; `place` [p] is the new index of each position."""
        kept = keep[self.places]
        if kept.all():
            return replace(self, places=place[self.places])
        rows, row = torch.unique(self.slots[kept] // self.width, return_inverse=True)
        past = self.past.of(rows, self.arguments)
        return PaddedSuffixes(
            places=place[self.places[kept]],
            slots=row * self.width + self.slots[kept] % self.width,
            count=len(rows),
            width=self.width,
            past=past,
            arguments=adapted(self.arguments, past, rows, self.count),
        )


@dataclass(frozen=True, slots=True)
class UpperBlocks:
    """Maps [p, d] outputs of the last edited block to outputs of the last block; the identity where these are one."""

    blocks: nn.ModuleList
    parts: tuple[PaddedSuffixes, ...]

    def __call__(self, hidden: Tensor) -> Tensor:
        outputs = []
        for part in self.parts:
            above = [self.blocks[number] for number in part.arguments]
            outputs.append(run(above, part.padded(hidden), part.arguments.values()).flatten(0, 1)[part.slots])
        return torch.cat(outputs)[torch.cat([part.places for part in self.parts]).argsort()]

    def reading(self, module: nn.Module, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Returns, for `hidden` [p, d], the inputs [p, d] of a module in these blocks, and what the call returns."""
        given: list[Tensor] = []
        handle = module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            output = self(hidden)
        finally:
            handle.remove()
        inputs = [tensor.flatten(0, 1)[part.slots] for tensor, part in zip(given, self.parts, strict=True)]
        return torch.cat(inputs)[torch.cat([part.places for part in self.parts]).argsort()], output

    def until(self, number: int) -> UpperBlocks:
        """Drops the blocks above block `number`."""
        parts = [
            replace(part, arguments={block: given for block, given in part.arguments.items() if block <= number})
            for part in self.parts
        ]
        return UpperBlocks(self.blocks, tuple(parts))

    def only(self, keep: Tensor) -> UpperBlocks:
        """Drops the positions not to `keep` [p], which are whole contexts; the others are renumbered in order."""
        place = keep.cumsum(0) - 1
        return UpperBlocks(self.blocks, tuple(part.only(keep, place) for part in self.parts if keep[part.places].any()))
