"""Runs the blocks above the last edited one on suffixes alone.

A prefix is what comes before the first token that predicts a target, a suffix the tokens that do. A change of hidden
states at a suffix cannot reach a prefix, because attention is causal; so of prefixes the blocks above need only the
keys and values of attention, which are computed once. Suffixes of about the same length share a padded tensor; outside
of this file they are a flat list of positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

PACKED = 24  # contexts, at most, whose suffixes are put into one tensor

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

    def packed(self) -> UpperBlocks:
        """Puts suffixes of few contexts into one tensor without padding; no context can be dropped any more.

        A product of fifty rows takes less than three products of thirty. Attention then has masks that keep contexts
        apart, and heeds keys of all of them in vain, so that many contexts stay as they are.
        """
        if sum(part.count for part in self.parts) > PACKED:
            return self
        try:
            return UpperBlocks(self.blocks, (_packed(self.parts),))
        except _Unpackable:
            return self

    def only(self, keep: Tensor) -> UpperBlocks:
        """Drops the positions not to `keep` [p], which are whole contexts; the others are renumbered in order."""
        place = keep.cumsum(0) - 1
        return UpperBlocks(self.blocks, tuple(part.only(keep, place) for part in self.parts if keep[part.places].any()))


class _Unpackable(Exception):
    """Says that blocks are given something that is not known to be per token or per context."""


def _packed(parts: Sequence[PaddedSuffixes]) -> PaddedSuffixes:
    """Returns the suffixes of `parts` as those of one context [1, q, d] whose tokens heed their own prefixes alone.

    Raises:
        _Unpackable: an argument of a block is unknown, or attention has no mask.
    """
    if not all(_has_mask(arguments) for part in parts for arguments in part.arguments.values()):
        raise _Unpackable
    numbers = list(parts[0].arguments)
    past = PrefixCache(parts[0].past.last)
    with suppress(Filled):
        for number in numbers:
            layers = [part.past.layers[number] for part in parts]
            keys, values = (
                torch.cat([tensor.transpose(0, 1).flatten(1, 2) for tensor in tensors], 1)[None]
                for tensors in ([layer.keys for layer in layers], [layer.values for layer in layers])
            )
            past.update(keys, values, number)
    past.filled = True
    known: dict[tuple[int, ...], Tensor] = {}  # most blocks are given the same tensors

    def joined(given: Sequence[Any]) -> Any:
        first = given[0]
        match first:
            case Cache():
                return past
            case Tensor() if all(isinstance(tensor, Tensor) for tensor in given):
                key = tuple(map(id, given))
                if key not in known:
                    known[key] = _joined_tensors(given, parts)
                return known[key]
            case tuple() | list():
                return type(first)(joined(items) for items in zip(*given, strict=True))
            case dict():
                return {name: joined([arguments[name] for arguments in given]) for name in first}
        if any(item is not first and item != first for item in given):
            raise _Unpackable
        return first

    places = torch.cat([part.places for part in parts])
    return PaddedSuffixes(
        places=places,
        slots=torch.arange(len(places), device=places.device),
        count=1,
        width=len(places),
        past=past,
        arguments={number: joined([part.arguments[number] for part in parts]) for number in numbers},
    )


def _has_mask(arguments: Arguments) -> bool:
    positional, named = arguments
    return any(isinstance(value, Tensor) and value.ndim == 4 for value in (*positional, *named.values()))


def _joined_tensors(given: Sequence[Tensor], parts: Sequence[PaddedSuffixes]) -> Tensor:
    """Returns for masks of attention [contexts or 1, 1, width, keys] that of all tokens [1, 1, q, all keys], and for
    tensors [contexts or 1, width, ...] of tokens those of all [1, q, ...]."""
    if all(mask.ndim == 4 and mask.shape[1:3] == (1, part.width) for mask, part in zip(given, parts, strict=True)):
        return _joined_masks(given, parts)
    if not all(
        tensor.ndim > 1 and len(tensor) in (1, part.count) and tensor.shape[1] == part.width
        for tensor, part in zip(given, parts, strict=True)
    ):
        raise _Unpackable
    rows = [
        tensor.expand(part.count, *tensor.shape[1:]).flatten(0, 1)[part.slots]
        for tensor, part in zip(given, parts, strict=True)
    ]
    return torch.cat(rows)[None]


def _joined_masks(masks: Sequence[Tensor], parts: Sequence[PaddedSuffixes]) -> Tensor:
    before = [part.count * (mask.shape[3] - part.width) for mask, part in zip(masks, parts, strict=True)]
    tokens = [len(part.slots) for part in parts]
    apart = False if masks[0].dtype is torch.bool else torch.finfo(masks[0].dtype).min
    whole = masks[0].new_full((sum(tokens), sum(before) + sum(tokens)), apart)
    row = column = 0
    for mask, part, keys, count in zip(masks, parts, before, tokens, strict=True):
        context, width = part.slots // part.width, part.width
        heeded = mask.expand(part.count, -1, -1, -1)[:, 0].flatten(0, 1)[part.slots]  # [tokens, keys of a context]
        prefixes = heeded.new_full((count, part.count, keys // part.count), apart)
        prefixes[torch.arange(count, device=heeded.device), context] = heeded[:, : keys // part.count]
        suffixes = heeded.new_full((count, part.count, width), apart)
        suffixes[torch.arange(count, device=heeded.device), context] = heeded[:, keys // part.count :]
        whole[row : row + count, column : column + keys] = prefixes.flatten(1)
        behind = sum(before) + row
        whole[row : row + count, behind : behind + count] = suffixes.flatten(1)[:, part.slots]
        row, column = row + count, column + keys
    return whole[None, None]
