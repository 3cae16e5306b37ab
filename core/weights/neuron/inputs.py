"""Captures the inputs of an MLP on many short texts that begin alike, as chats do: their beginning is run once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

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
    if not texts:
        return []
    shared = min(alike_until(texts), min(map(len, texts)) - 1)
    cache = PrefixCache(block)
    if shared:
        with suppress(Filled):
            ids = torch.tensor([list(texts[0][:shared])], device=model.device)
            model.network(input_ids=ids, use_cache=True, logits_to_keep=1, **model.with_cache(cache))
    captured: dict[int, Tensor] = {}
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    while order:
        count = max(1, min(len(order), TOKENS // (len(texts[order[-1]]) - shared)))
        rows, order = order[-count:], order[:-count]
        batch = _run(model, block, [texts[row][shared:] for row in rows], cache, shared)
        captured |= {row: batch[place, : len(texts[row]) - shared] for place, row in enumerate(rows)}
    return [captured[number] for number in range(len(texts))]


def inputs_of(model: EditableModel, block: int, texts: Sequence[Sequence[int]], chats: Sequence[bool]) -> list[Tensor]:
    """Returns what `mlp_inputs` returns; chats and raw texts are run apart, each from its own common beginning."""
    rows: dict[int, Tensor] = {}
    for kind in (False, True):
        chosen = [number for number, chat in enumerate(chats) if chat is kind]
        inputs = mlp_inputs(model, block, [texts[number] for number in chosen])
        rows |= {number: row.cpu() for number, row in zip(chosen, inputs, strict=True)}
    return [rows[number] for number in range(len(texts))]


def _run(model: EditableModel, block: int, texts: Sequence[Sequence[int]], cache: PrefixCache, shared: int) -> Tensor:
    """Returns [n, longest, d] the inputs of the MLP on texts behind `shared` tokens that are in the cache."""
    ids, mask = pad(texts, model.pad_token, model.device)
    mask = torch.cat([mask.new_ones(len(texts), shared), mask], 1)
    common = {"input_ids": ids, "attention_mask": mask, "logits_to_keep": 1}
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].float())
        raise _Captured

    handle = model.blocks[block].get_submodule(model.family.mlp).register_forward_pre_hook(keep)
    try:
        with suppress(_Captured):
            if shared:
                past = cache.of(torch.zeros(len(texts), dtype=torch.long, device=model.device), range(block + 1))
                positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
                model.network(**common, position_ids=positions, use_cache=True, **model.with_cache(past))
            else:
                model.network(**common, use_cache=False)
    finally:
        handle.remove()
    return seen[0]


def at_names(inputs: Tensor, length: int, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Splits the inputs [tokens, d] of a text of `length` tokens into those at `ends`, and all others."""
    places = torch.tensor([end - length for end in ends], dtype=torch.long, device=inputs.device) + len(inputs)
    here = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    here[places[places >= 0]] = True
    return inputs[here], inputs[~here]
