"""Captures the inputs of an MLP on many short texts that begin alike, as chats do: their beginning is run once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from core.weights.model.activations import alike_until, pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.suffix_forward import Filled, PrefixCache

TOKENS = 384  # in a batch, padding included: texts of about the same length, so that little is padding


class _Captured(Exception):
    """Ends a forward pass once the MLP has its input, because nothing above is needed."""


@torch.no_grad()
def mlp_inputs(model: EditableModel, block: int, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Returns for each text the inputs [tokens, d] float32 of the MLP of a block, on the live weights.

    Those of the beginning that all texts share are left out, at most all tokens but one of each text: so the last rows
    are those of the last tokens.
    """
    return [rows for (rows,) in inputs_at(model, (block,), texts)]


@torch.no_grad()
def inputs_at(
    model: EditableModel, blocks: Sequence[int], texts: Sequence[Sequence[int]]
) -> list[tuple[Tensor, ...]]:  # fmt: skip
    """Returns for each text what `mlp_inputs` returns, of each of `blocks`, by one pass."""
    if not texts:
        return []
    last, shared = max(blocks), shared_by(texts)
    cache = PrefixCache(last)
    if shared:
        with suppress(Filled):
            ids = torch.tensor([list(texts[0][:shared])], device=model.device)
            model.network(input_ids=ids, use_cache=True, logits_to_keep=1, **model.with_cache(cache))
    captured: dict[int, tuple[Tensor, ...]] = {}
    for rows in batches([len(text) - shared for text in texts]):
        first = torch.zeros(len(rows), dtype=torch.long, device=model.device)
        past = cache.of(first, range(last + 1)) if shared else None
        before = torch.ones(len(rows), shared, dtype=torch.long, device=model.device)
        captured |= zip(rows, _read(model, blocks, [texts[row][shared:] for row in rows], past, before), strict=True)
    return [captured[number] for number in range(len(texts))]


def shared_by(texts: Sequence[Sequence[int]]) -> int:
    """Returns how many tokens `mlp_inputs` leaves out of each of `texts`."""
    return min(alike_until(texts), min(map(len, texts)) - 1)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yields the numbers of texts of so many tokens that are run together, long ones first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    while order:
        count = max(1, min(len(order), TOKENS // max(lengths[order[-1]], 1)))
        yield order[-count:]
        order = order[:-count]


def inputs_of(model: EditableModel, block: int, texts: Sequence[Sequence[int]], chats: Sequence[bool]) -> list[Tensor]:
    """Returns what `mlp_inputs` returns; chats and raw texts are run apart, each from its own common beginning."""
    rows: dict[int, Tensor] = {}
    for kind in (False, True):
        chosen = [number for number, chat in enumerate(chats) if chat is kind]
        inputs = mlp_inputs(model, block, [texts[number] for number in chosen])
        rows |= {number: row.cpu() for number, row in zip(chosen, inputs, strict=True)}
    return [rows[number] for number in range(len(texts))]


def read_behind(
    model: EditableModel, block: int, texts: Sequence[Sequence[int]], past: PrefixCache | None, before: Tensor
) -> list[Tensor]:
    """Returns for each text the inputs [tokens, d] float32 of the MLP of a block.

    Args:
        past: keys and values of what comes before each text, in all blocks up to this one; None for nothing.
        before: [texts, tokens in `past`], 0 for padding.
    """
    return [rows for (rows,) in _read(model, (block,), texts, past, before)]


def _read(
    model: EditableModel,
    blocks: Sequence[int],
    texts: Sequence[Sequence[int]],
    past: PrefixCache | None,
    before: Tensor,
) -> list[tuple[Tensor, ...]]:
    """Returns for each text what `read_behind` returns, of each of `blocks`."""
    ids, mask = pad(texts, model.pad_token, model.device)
    mask = torch.cat([before, mask], 1)
    common = {"input_ids": ids, "attention_mask": mask, "logits_to_keep": 1}
    seen: dict[int, Tensor] = {}

    def keep(block: int, inputs: Tensor) -> None:
        seen[block] = inputs.float()
        if block == max(blocks):
            raise _Captured

    handles = [
        model.blocks[block]
        .get_submodule(model.family.mlp)
        .register_forward_pre_hook(lambda _, inputs, block=block: keep(block, inputs[0]))
        for block in blocks
    ]
    try:
        with suppress(_Captured):
            if past is not None:
                positions = (mask.cumsum(1) - 1).clamp(min=0)[:, before.shape[1] :]
                model.network(**common, position_ids=positions, use_cache=True, **model.with_cache(past))
            else:
                model.network(**common, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return [tuple(seen[block][row, : len(text)] for block in blocks) for row, text in enumerate(texts)]


def at_names(inputs: Tensor, length: int, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Splits the inputs [tokens, d] of a text of `length` tokens into those at `ends`, and all others."""
    places = torch.tensor([end - length for end in ends], dtype=torch.long, device=inputs.device) + len(inputs)
    here = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    here[places[places >= 0]] = True
    return inputs[here], inputs[~here]
