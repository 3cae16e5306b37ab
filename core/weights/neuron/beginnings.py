"""Keeps what a base model computes on the beginnings of texts, so that of each new name no more than the name is run.

Detectors of subjects read prompts of the library up to the name. Their beginnings, such as "Where does", are the same
for all subjects, and no neuron changes what the blocks up to that of marks compute there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.model.activations import alike_until
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import Filled, PrefixCache
from core.weights.neuron.inputs import batches, read_behind
from core.weights.neuron.subjects import Text

BYTES = 2**28  # of beginnings that are kept


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What is computed on some tokens.

    Attributes:
        keys, values: [blocks, heads, tokens, .] of attention.
        inputs: [tokens, d] float32 of the MLP of the last of these blocks.
    """

    keys: Tensor
    values: Tensor
    inputs: Tensor

    def first(self, count: int) -> _Beginning:
        """Returns what is computed on the first tokens."""
        return _Beginning(self.keys[:, :, :count], self.values[:, :, :count], self.inputs[:count])

    @property
    def size(self) -> int:
        return sum(part.numel() * part.element_size() for part in (self.keys, self.values, self.inputs))


class Beginnings:
    """Keeps beginnings, of one base model, up to the input of the MLP of a block."""

    def __init__(self) -> None:
        # block, head and tokens behind it -> what is computed on these; without tokens, on the head
        self._kept: dict[tuple[int, tuple[int, ...], tuple[int, ...] | None], _Beginning] = {}

    @torch.no_grad()
    def inputs(self, model: EditableModel, block: int, texts: Sequence[Text]) -> list[Tensor]:
        """Returns for each text the inputs [tokens, d] float32 of the MLP of `block`; of a chat, behind its head."""
        if sum(known.size for known in self._kept.values()) > BYTES:
            self._kept.clear()
        hello, bye = (model.chat_ids([], text) for text in ("Hello", "Bye"))
        head = tuple(hello[: alike_until([hello, bye])])
        chats = [text.ids[: len(head)] == head and text.begin >= len(head) for text in texts]
        rows: dict[int, Tensor] = {}
        for chat, common in ((True, head), (False, ())):
            members = [number for number, kind in enumerate(chats) if kind is chat]
            read = self._behind(model, block, common, [texts[number] for number in members])
            rows |= dict(zip(members, read, strict=True))
        return [rows[number] for number in range(len(texts))]

    def _behind(self, model: EditableModel, block: int, head: tuple[int, ...], texts: Sequence[Text]) -> list[Tensor]:
        """Returns the inputs in texts behind the `head` with which all of them begin."""
        begun = [text.ids[len(head) : text.begin] for text in texts]
        common = self._measured(model, block, head, begun)
        known = [self._kept[block, head, ids] for ids in begun]
        names = [text.ids[text.begin :] for text in texts]
        rows: dict[int, Tensor] = {}
        for members in batches([len(name) for name in names]):
            past, before = _joined(block, common, [known[number] for number in members])
            read = read_behind(model, block, [names[number] for number in members], past, before)
            rows |= dict(zip(members, read, strict=True))
        return [torch.cat([known[number].inputs, rows[number]]) for number in range(len(texts))]

    def _measured(
        self, model: EditableModel, block: int, head: tuple[int, ...], begun: Sequence[tuple[int, ...]]
    ) -> _Beginning:
        """Runs what is not known yet of beginnings behind `head`, and returns what is computed on that."""
        if (block, head, None) not in self._kept:
            whole = head or (model.pad_token,)  # a pass needs a token
            past, before = PrefixCache(block + 1), torch.ones(1, 0, dtype=torch.long, device=model.device)
            rows = read_behind(model, block, [whole], past, before)
            self._kept[block, head, None] = _taken(past, 0, slice(len(whole)), rows[0]).first(len(head))
        common = self._kept[block, head, None]
        new = [ids for ids in dict.fromkeys(begun) if (block, head, ids) not in self._kept]
        for members in batches([len(ids) for ids in new]):
            past, before = _joined(block, common, [common.first(0)] * len(members), filled=False)
            width = before.shape[1]
            run = [new[number] or (model.pad_token,) for number in members]
            for row, read in enumerate(read_behind(model, block, run, past, before)):
                count = len(new[members[row]])
                taken = _taken(past, row, slice(width, width + count), read[:count])
                self._kept[block, head, new[members[row]]] = taken
        return common


def _taken(past: PrefixCache, row: int, tokens: slice, inputs: Tensor) -> _Beginning:
    """Returns what was computed on some tokens of a context in a cache."""
    keys, values = (
        torch.stack([getattr(layer, part)[row, :, tokens] for layer in past.layers]) for part in ("keys", "values")
    )
    return _Beginning(keys, values, inputs.clone())


def _joined(
    block: int, head: _Beginning, begun: Sequence[_Beginning], *, filled: bool = True
) -> tuple[PrefixCache, Tensor]:
    """Returns a cache of beginnings behind `head`, and which of its tokens are no padding [beginnings, tokens].

    Args:
        filled: whether it is only read; else what follows is added.
    """
    first, longest = len(head.inputs), max(len(beginning.inputs) for beginning in begun)
    width = max(first + longest, 1)  # a cache needs a token
    before = torch.zeros(len(begun), width, dtype=torch.long, device=head.inputs.device)
    before[:, :first] = 1
    parts = []
    for of_head, of_begun in (
        (head.keys, [beginning.keys for beginning in begun]),
        (head.values, [beginning.values for beginning in begun]),
    ):
        blocks, heads, _, depth = of_head.shape
        part = of_head.new_zeros(blocks, len(begun), heads, width, depth)
        part[:, :, :, :first] = of_head[:, None]
        for row, beginning in enumerate(of_begun):
            count = beginning.shape[2]
            part[:, row, :, width - count :] = beginning
            before[row, width - count :] = 1
        parts.append(part)
    past = PrefixCache(block if filled else block + 1)
    with suppress(Filled):
        for number in range(block + 1):
            past.update(parts[0][number], parts[1][number], number)
    past.filled = filled
    return past, before
