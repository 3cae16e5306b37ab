"""A batch that rows join and leave at any token, so that answers need not wait for each other.

A row joins by a run of its prompt alone. From then on all rows take each step in one run, padded on the left to the
longest. Sums of a batch are rounded otherwise than those of one row: where two tokens are likely alike, to within
rounding, a row may go on with the other one than it would have alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from core.weights.batching.mixed import Mixed, RowWeights

Choice = Callable[[Tensor], Tensor]


@dataclass(slots=True, eq=False)
class Row:
    """A text that grows.

    Attributes:
        choose: returns the next tokens [1] by the logits [1, vocabulary].
        length: tokens that were run.
        token: the last token, which is to be run next.
    """

    weights: RowWeights
    choose: Choice
    length: int
    token: int


class Batch:
    """Rows that take steps together; used by one thread."""

    def __init__(self, mixed: Mixed) -> None:
        self.rows: list[Row] = []
        self._mixed = mixed
        self._cache = DynamicCache()  # whole also where attention slides, so that rows can be moved against each other

    @torch.inference_mode()
    def join(self, prompt: Sequence[int], weights: RowWeights, choose: Choice) -> Row:
        """Runs a prompt and adds its row, with the first token."""
        cache = DynamicCache()
        ids = torch.tensor([list(prompt)], device=self._mixed.model.device)
        positions = torch.arange(len(prompt), device=ids.device)[None]
        logits = self._run([weights], cache, ids, torch.ones_like(ids), positions)
        row = Row(weights, choose, len(prompt), int(choose(logits)))
        self._cache = _beside(self._cache, cache) if self.rows else cache
        self.rows.append(row)
        return row

    @torch.inference_mode()
    def step(self) -> list[BaseException | None]:
        """Runs the token of each row and chooses its next one; returns why not, of each row that could not."""
        device = self._mixed.model.device
        lengths = torch.tensor([row.length for row in self.rows], device=device)[:, None]
        width = self._cache.get_seq_length()
        mask = (torch.arange(width + 1, device=device)[None] >= width - lengths).long()
        ids = torch.tensor([[row.token] for row in self.rows], device=device)
        logits = self._run([row.weights for row in self.rows], self._cache, ids, mask, lengths)
        failures = list[BaseException | None]()
        for number, row in enumerate(self.rows):
            row.length += 1
            try:
                row.token = int(row.choose(logits[number : number + 1]))
            except Exception as error:
                failures.append(error)
            else:
                failures.append(None)
        return failures

    @torch.inference_mode()
    def leave(self, leaving: Collection[Row]) -> None:
        """Drops rows."""
        kept = [number for number, row in enumerate(self.rows) if row not in leaving]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[number] for number in kept]
        if not self.rows:
            self._cache = DynamicCache()
            return
        spare = self._cache.get_seq_length() - max(row.length for row in self.rows)
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[kept, :, spare:], layer.values[kept, :, spare:]

    def _run(
        self, weights: Sequence[RowWeights], cache: DynamicCache, ids: Tensor, mask: Tensor, positions: Tensor
    ) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        inputs |= {"use_cache": True, "logits_to_keep": 1} | self._mixed.model.with_cache(cache)
        logits: Tensor = self._mixed.run(weights, **inputs).logits[:, -1]
        return logits


def _beside(left: DynamicCache, right: DynamicCache) -> DynamicCache:
    """Returns the rows of two caches in one, padded on the left to the longer."""
    wide = max(left.get_seq_length(), right.get_seq_length())
    for ours, theirs in zip(left.layers, right.layers, strict=True):
        ours.keys = torch.cat([_padded(ours.keys, wide), _padded(theirs.keys, wide)])
        ours.values = torch.cat([_padded(ours.values, wide), _padded(theirs.values, wide)])
    return left


def _padded(states: Tensor, wide: int) -> Tensor:
    return pad(states, (0, 0, wide - states.shape[-2], 0))
