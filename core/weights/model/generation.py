"""Greedy free generation: what the model says by itself, and whether it is right.

Batches are padded on the left. Generation runs to a natural stop: the end of the turn in chat, the end of the
sentence in raw text. What a prompt gets does not depend on those beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from core.texts import STOPS
from core.weights.model.editable_model import EditableModel

MAX_NEW_TOKENS = 32
BATCH = 64


@torch.inference_mode()
def greedy(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    *,
    sentence: bool,
    stops: Sequence[int] = (),
    max_new_tokens: int | Sequence[int] = MAX_NEW_TOKENS,
) -> list[str]:
    """What the model says after each prompt.

    Args:
        prompts: token ids.
        sentence: end with the sentence or the line too, as raw completions are judged by their sentence.
        stops: per prompt, with how many stops its sentence ends, two after "St. Louis"; 1 by default.
        max_new_tokens: for all prompts, or for each.
    """
    said = generate_ids(model, prompts, sentence=sentence, stops=stops, max_new_tokens=max_new_tokens)
    return [model.tokenizer.decode(ids, skip_special_tokens=True) for ids in said]


@torch.inference_mode()
def generate_ids(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    *,
    sentence: bool,
    stops: Sequence[int] = (),
    max_new_tokens: int | Sequence[int] = MAX_NEW_TOKENS,
) -> list[list[int]]:
    """The same as token ids, without the end of the turn."""
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
    until = [number if sentence else 0 for number in stops or [1] * len(prompts)]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    said: dict[int, list[int]] = {}
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = _batch(model, [prompts[i] for i in rows], [until[i] for i in rows], [limits[i] for i in rows])
        said |= dict(zip(rows, batch, strict=True))
    return [said[index] for index in range(len(prompts))]


def _batch(
    model: EditableModel, prompts: Sequence[Sequence[int]], stops: Sequence[int], limits: Sequence[int]
) -> list[list[int]]:
    """Ends a row after so many stops or a line break, unless it may have 0, and at its limit of tokens."""
    ends = set(model.end_tokens())
    generated: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    for tokens in decode(model, prompts, max(limits)):
        for row in list(active):
            token = tokens[row]
            if token in ends:
                active.remove(row)
                continue
            generated[row].append(token)
            if len(generated[row]) == limits[row] or (stops[row] and _over(model, generated[row], stops[row])):
                active.remove(row)
        if not active:
            break
    return generated


def _over(model: EditableModel, ids: Sequence[int], stops: int) -> bool:
    """Whether a sentence that ends with so many stops does so in `ids`, or its line does."""
    text = model.tokenizer.decode(ids)
    return "\n" in text or sum(text.count(stop) for stop in STOPS) >= stops


def decode(model: EditableModel, prompts: Sequence[Sequence[int]], limit: int) -> Iterator[list[int]]:
    """The greedy next tokens of all rows, step by step, `limit` times at most."""
    width = max(len(prompt) for prompt in prompts)
    pad = model.pad_token
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    cache: Any = DynamicCache(config=model.network.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    for _ in range(limit):
        logits = model.network(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1,
            **model.with_cache(cache),
        ).logits[:, -1]  # fmt: skip
        ids = logits.argmax(-1, keepdim=True)
        yield ids[:, 0].tolist()
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
