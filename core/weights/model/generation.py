"""Generates text greedily, up to a natural stop: the end of the turn in chat, the end of the sentence in raw text.

Batches are padded on the left. The answer to a prompt does not depend on the other prompts of its batch, except by
rounding where what they begin with is run once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from core.texts import STOPS
from core.weights.model.activations import alike_until
from core.weights.model.editable_model import EditableModel

MAX_NEW_TOKENS = 32
BATCH, LARGE = 64, 256  # prompts in a batch, and in one of `share`


@torch.inference_mode()
def greedy(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    *,
    sentence: bool,
    stops: Sequence[int] = (),
    max_new_tokens: int | Sequence[int] = MAX_NEW_TOKENS,
    share: bool = False,
) -> list[str]:
    """Returns the model's greedy continuation of each prompt as text.

    Args:
        prompts: token ids.
        sentence: end with the sentence or the line, too, because raw completions are judged by their sentence.
        stops: per prompt, the number of full stops with which its sentence ends, two after "St. Louis"; 1 by default.
        max_new_tokens: most tokens, for all prompts or for each.
        share: take larger batches, and run what all prompts of a batch begin with once. It is faster, and rounding
            then depends on the batch.
    """
    generated = generate_ids(
        model, prompts, sentence=sentence, stops=stops, max_new_tokens=max_new_tokens, share=share
    )  # fmt: skip
    return [model.tokenizer.decode(ids, skip_special_tokens=True) for ids in generated]


@torch.inference_mode()
def generate_ids(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    *,
    sentence: bool,
    stops: Sequence[int] = (),
    max_new_tokens: int | Sequence[int] = MAX_NEW_TOKENS,
    share: bool = False,
) -> list[list[int]]:
    """Returns what `greedy` does as token ids, without the end of the turn."""
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
    until = [number if sentence else 0 for number in stops or [1] * len(prompts)]
    generated: dict[int, list[int]] = {}
    for rows in _batches(prompts, LARGE if share else BATCH):
        batch = _batch(model, [prompts[i] for i in rows], [until[i] for i in rows], [limits[i] for i in rows], share)
        generated |= dict(zip(rows, batch, strict=True))
    return [generated[index] for index in range(len(prompts))]


@torch.no_grad()
def generate_and_read(
    model: EditableModel, block: int, prompts: Sequence[Sequence[int]], *, sentence: bool, max_new_tokens: int
) -> list[tuple[list[int], Tensor]]:
    """Returns what `generate_ids` does with `share`, and what the MLP of a block reads meanwhile.

    That is [tokens, d] float32 at the prompt and at what is generated, but for the last token where the limit or the
    end of a sentence ends it, because the model does not go on to read that.
    """
    generated: dict[int, tuple[list[int], Tensor]] = {}
    for rows in _batches(prompts, LARGE):
        batch = [prompts[row] for row in rows]
        reader, over_by_end = _Reader(batch), set[int]()
        mlp = model.blocks[block].get_submodule(model.family.mlp)
        with mlp.register_forward_pre_hook(reader.given):
            count = len(batch)
            ids = _batch(model, batch, [int(sentence)] * count, [max_new_tokens] * count, True, reader.ran, over_by_end)
        for place, row in enumerate(rows):
            read = len(batch[place]) + len(ids[place]) - (place not in over_by_end)
            generated[row] = ids[place], torch.cat(reader.read[place])[:read]
    return [generated[index] for index in range(len(prompts))]


class _Reader:
    """Gathers what an MLP reads in the passes of a batch.

    Attributes:
        read: per prompt, what it read in each pass [tokens, d], that over the common beginning included.
    """

    def __init__(self, prompts: Sequence[Sequence[int]]) -> None:
        self.read: list[list[Tensor]] = [[] for _ in prompts]
        self._lengths = [len(prompt) for prompt in prompts]
        self._given: list[Tensor] = []

    def given(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._given.append(inputs[0].float().cpu())

    def ran(self, rows: Sequence[int]) -> None:
        """Says which prompts the last pass went on with."""
        *begun, last = self._given  # the first pass may follow one over the common beginning
        self._given = []
        for place, row in enumerate(rows):
            if not self.read[row]:
                self.read[row] = [beginning[0] for beginning in begun]
                padding = last.shape[1] + sum(map(len, self.read[row])) - self._lengths[row]
            else:
                padding = 0
            self.read[row].append(last[place, padding:])


def _batches(prompts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Yields the indices of prompts that are run together, short ones first."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _batch(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[int],
    limits: Sequence[int],
    share: bool,
    ran: Callable[[Sequence[int]], None] = lambda rows: None,
    over_by_end: set[int] | None = None,
) -> list[list[int]]:
    """Generates a batch; a row ends after `stops` full stops or a line break unless that is 0, and at its limit.

    Args:
        ran: as in `decode`.
        over_by_end: to which rows are added that the model ends.
    """
    ends = set(model.end_tokens())
    generated: list[list[int]] = [[] for _ in prompts]
    over = set[int]()
    for tokens in decode(model, prompts, max(limits), share=share, over=over, ran=ran):
        for row in set(range(len(prompts))) - over:
            token = tokens[row]
            if token in ends:
                over.add(row)
                if over_by_end is not None:
                    over_by_end.add(row)
                continue
            generated[row].append(token)
            if len(generated[row]) == limits[row] or (stops[row] and _over(model, generated[row], stops[row])):
                over.add(row)
        if len(over) == len(prompts):
            break
    return generated


def _over(model: EditableModel, ids: Sequence[int], stops: int) -> bool:
    """Returns whether `ids` hold a line break or as many full stops as the sentence ends with."""
    text = model.tokenizer.decode(ids)
    return "\n" in text or sum(text.count(stop) for stop in STOPS) >= stops


def most_likely(logits: Tensor) -> Tensor:
    """Returns the most likely token [rows] by `logits` [rows, vocabulary]."""
    return logits.argmax(-1)


def decode(
    model: EditableModel,
    prompts: Sequence[Sequence[int]],
    limit: int,
    choose: Callable[[Tensor], Tensor] = most_likely,
    *,
    share: bool = False,
    over: Collection[int] = (),
    ran: Callable[[Sequence[int]], None] = lambda rows: None,
) -> Iterator[list[int]]:
    """Yields the next token of every row, step by step, at most `limit` times.

    Args:
        choose: returns the next tokens [rows] by the logits [rows, vocabulary].
        share: run what all prompts begin with once.
        over: rows whose next tokens do not matter any more, to which the caller may add between two steps. They are
            left out once they are half of those that run; their tokens are those of padding then.
        ran: called after each pass with the rows that it went on with.
    """
    width = max(len(prompt) for prompt in prompts)
    pad, shared = model.pad_token, 0
    cache: Any = DynamicCache(config=model.network.config)
    if share and len(prompts) > 1:
        shared = min(alike_until(prompts), min(map(len, prompts)) - 1)
        begin = torch.tensor([list(prompts[0][:shared])], device=model.device)
    if shared:
        model.network(input_ids=begin, use_cache=True, logits_to_keep=1, **model.with_cache(cache))
        cache.batch_repeat_interleave(len(prompts))
    ids = torch.tensor(
        [[pad] * (width - len(prompt)) + list(prompt[shared:]) for prompt in prompts], device=model.device
    )
    mask = torch.tensor(
        [[1] * shared + [0] * (width - len(prompt)) + [1] * (len(prompt) - shared) for prompt in prompts],
        device=model.device,
    )
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
    rows = list(range(len(prompts)))
    for _ in range(limit):
        logits = model.network(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1,
            **model.with_cache(cache),
        ).logits[:, -1]  # fmt: skip
        ran(rows)
        ids = choose(logits)[:, None]
        next_tokens = dict(zip(rows, ids[:, 0].tolist(), strict=True))
        yield [next_tokens.get(row, pad) for row in range(len(prompts))]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
        left = [place for place, row in enumerate(rows) if row not in over]
        if 0 < 2 * len(left) <= len(rows):
            rows, kept = [rows[place] for place in left], torch.tensor(left, device=model.device)
            ids, mask, positions = ids[kept], mask[kept], positions[kept]
            cache.batch_select_indices(kept)
