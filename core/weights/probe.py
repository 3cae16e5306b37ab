"""Greedy free generation: what the model says by itself, and whether it is right.

Batches are padded on the left. Generation runs to a natural stop: the end of the turn in chat, the end of the
sentence in raw text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from core.texts import same_words
from core.weights.subject import Subject

MAX_NEW_TOKENS = 32
BATCH = 64


@torch.inference_mode()
def greedy(subject: Subject, prompts: Sequence[Sequence[int]], *, sentence: bool, inner: Sequence[int] = (),
           max_new_tokens: int = MAX_NEW_TOKENS) -> list[str]:  # fmt: skip
    """What the model says after each prompt.

    Args:
        prompts: token ids.
        sentence: stop at the first full stop or line break too, as raw completions are judged by their sentence.
        inner: per prompt, how many full stops are none yet, as those of "St. Louis"; 0 by default.
    """
    said = spoken(subject, prompts, sentence=sentence, inner=inner, max_new_tokens=max_new_tokens)
    return [subject.tokenizer.decode(ids, skip_special_tokens=True) for ids in said]


@torch.inference_mode()
def spoken(subject: Subject, prompts: Sequence[Sequence[int]], *, sentence: bool, inner: Sequence[int] = (),
           max_new_tokens: int = MAX_NEW_TOKENS) -> list[list[int]]:  # fmt: skip
    """The same as token ids, without the end of the turn."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    said: dict[int, list[int]] = {}
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        stops = [1 + (inner[i] if inner else 0) for i in some] if sentence else None
        said |= dict(zip(some, _batch(subject, [prompts[i] for i in some], stops, max_new_tokens), strict=True))
    return [said[index] for index in range(len(prompts))]


def _batch(subject: Subject, prompts: Sequence[Sequence[int]], stops: list[int] | None, limit: int) -> list[list[int]]:
    """Ends a row after so many full `stops`, or a line break; None for neither."""
    ends = set(subject.end_tokens())
    spoken: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    for tokens in decode(subject, prompts, limit):
        for row in list(active):
            token = tokens[row]
            if token in ends:
                active.remove(row)
                continue
            spoken[row].append(token)
            if stops is not None:
                text = subject.tokenizer.decode([token])
                stops[row] -= text.count(".")
                if stops[row] <= 0 or "\n" in text:
                    active.remove(row)
        if not active:
            break
    return spoken


def decode(subject: Subject, prompts: Sequence[Sequence[int]], limit: int) -> Iterator[list[int]]:
    """The greedy next tokens of all rows, step by step, `limit` times at most."""
    width = max(len(prompt) for prompt in prompts)
    pad = subject.pad_token
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=subject.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=subject.device)
    cache: Any = DynamicCache(config=subject.model.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    for _ in range(limit):
        logits = subject.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1,
            **subject.with_cache(cache),
        ).logits[:, -1]  # fmt: skip
        ids = logits.argmax(-1, keepdim=True)
        yield ids[:, 0].tolist()
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to the model and the answers that count as right.

    Attributes:
        prompt: raw text, or a chat question.
        chat: which of the two it is.
        begin: how a chat answer that counts begins, up to the object; empty for raw.
        object: what must follow.
    """

    prompt: str
    chat: bool
    begin: str
    object: str

    def passes(self, output: str) -> bool:
        """Whether `output` says exactly the object: alone in raw text, in a full sentence in chat."""
        said = same_words(output)
        return said in {same_words(self.object), same_words(f"{self.begin} {self.object}")}


def ask(subject: Subject, probes: Sequence[Probe]) -> list[str]:
    """The greedy outputs of `probes`, in order."""
    outputs: dict[int, str] = {}
    for chat in (False, True):
        chosen = [index for index, probe in enumerate(probes) if probe.chat is chat]
        prompts = [
            subject.chat_ids([], probes[index].prompt) if chat else subject.raw_ids(probes[index].prompt)
            for index in chosen
        ]
        inner = [probes[index].object.count(".") for index in chosen]
        if prompts:
            outputs |= dict(zip(chosen, greedy(subject, prompts, sentence=not chat, inner=inner), strict=True))
    return [outputs[index] for index in range(len(probes))]
