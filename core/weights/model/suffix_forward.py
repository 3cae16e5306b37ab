"""The blocks above the last edited one, run on suffixes alone.

A prefix is what comes before the first token that predicts a target, a suffix the tokens that do. A change of hidden
states at a suffix cannot reach a prefix, so there the blocks above need no more than the keys and values that they made
of prefixes once. Suffixes of about the same length share a padded tensor; outside of this file they are a flat list of
positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

Arguments = tuple[tuple[Any, ...], dict[str, Any]]  # what a block is called with beside hidden states


class Filled(Exception):
    """Prefixes have come to where the last block keeps their keys and values; nothing else of them is needed."""


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """Keys and values of prefixes, per block [contexts, heads, tokens, d]. Once filled, it is read and never added to.

    Made without a config it keeps them all, also in blocks that attend to a window only: their masks see to that.
    """

    def __init__(self, last: int) -> None:
        """Filled by block number `last`, which raises `Filled`."""
        super().__init__()
        self.last, self.filled = last, False

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *args: Any, **more: Any) -> tuple[Tensor, Tensor]:
        if self.filled:
            layer = self.layers[layer_idx]
            return torch.cat([layer.keys, keys], -2), torch.cat([layer.values, values], -2)
        kept: tuple[Tensor, Tensor] = super().update(keys, values, layer_idx, *args, **more)
        if layer_idx == self.last:
            self.filled = True
            raise Filled
        return kept

    def of(self, rows: Tensor, layers: Iterable[int]) -> PrefixCache:
        """Those of some contexts in some blocks, the last among them."""
        chosen = PrefixCache(self.last)
        with suppress(Filled):
            for number in layers:
                chosen.update(self.layers[number].keys[rows], self.layers[number].values[rows], number)
        return chosen


def run(blocks: Iterable[nn.Module], hidden: Tensor, arguments: Iterable[Arguments]) -> Tensor:
    """`hidden` [n, tokens, d] through one block after the other."""
    for block, (positional, named) in zip(blocks, arguments, strict=True):
        output = block(hidden, *positional, **named)
        hidden = output[0] if isinstance(output, tuple) else output
    return hidden


def adapted(value: Any, past: PrefixCache, rows: Tensor | None = None, count: int = 0) -> Any:
    """Arguments of a block with another cache in them, and, where `rows` are given, for these of `count` contexts.

    A tensor is per context if it has the size for it and more than one dimension: what has one is positions.
    """
    match value:
        case Cache():
            return past
        case Tensor() if rows is not None and value.ndim > 1 and len(value) == count:
            return value[rows]
        case tuple() | list():
            return type(value)(adapted(one, past, rows, count) for one in value)
        case dict():
            return {name: adapted(one, past, rows, count) for name, one in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class PaddedSuffixes:
    """Suffixes padded to one tensor [count, width, d].

    Attributes:
        places: [q], which of all positions they are.
        slots: [q], where these are in the tensor, its first two dimensions taken as one.
        past: what their prefixes left.
        arguments: by number, for each block above.
    """

    places: Tensor
    slots: Tensor
    count: int
    width: int
    past: PrefixCache
    arguments: dict[int, Arguments]

    def padded(self, hidden: Tensor) -> Tensor:
        """[all positions, d] to [count, width, d]."""
        empty = hidden.new_zeros(self.count * self.width, hidden.shape[1])
        return empty.index_copy(0, self.slots, hidden[self.places]).view(self.count, self.width, -1)

    def only(self, keep: Tensor, place: Tensor) -> PaddedSuffixes:
        """Without the contexts whose positions are not to `keep`; `place` is where a position is from now on."""
        mine = keep[self.places]
        if mine.all():
            return replace(self, places=place[self.places])
        rows, row = torch.unique(self.slots[mine] // self.width, return_inverse=True)
        past = self.past.of(rows, self.arguments)
        return PaddedSuffixes(
            places=place[self.places[mine]],
            slots=row * self.width + self.slots[mine] % self.width,
            count=len(rows),
            width=self.width,
            past=past,
            arguments=adapted(self.arguments, past, rows, self.count),
        )


@dataclass(frozen=True, slots=True)
class UpperBlocks:
    """From [p, d] outputs of the last edited block to the outputs of the last block; the same where there are none."""

    blocks: nn.ModuleList
    parts: tuple[PaddedSuffixes, ...]

    def __call__(self, hidden: Tensor) -> Tensor:
        outputs = []
        for part in self.parts:
            above = [self.blocks[number] for number in part.arguments]
            outputs.append(run(above, part.padded(hidden), part.arguments.values()).flatten(0, 1)[part.slots])
        return torch.cat(outputs)[torch.cat([part.places for part in self.parts]).argsort()]

    def only(self, keep: Tensor) -> UpperBlocks:
        """For the positions to `keep` [p], which are whole contexts; what is left is numbered anew, in order."""
        place = keep.cumsum(0) - 1
        return UpperBlocks(self.blocks, tuple(part.only(keep, place) for part in self.parts if keep[part.places].any()))
