"""Asks the same questions of the base model and of every state of a memory, and counts the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from benchmarks.real.answers import BaseReplies, LiveReplies, first_sentence
from benchmarks.real.people import Asked, Told, World, known_questions, sampled
from benchmarks.real.text import passages
from core.facts import Fact
from core.unchanged import newly_said, says
from core.weights.evaluation.perplexity import LARGEST
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel

BATCH = 8  # texts whose logits are compared at once


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of questions of each kind, and of paragraphs beside the passages."""

    known: int = 200
    strangers: int = 300
    namesakes: int = 200
    untold: int = 200
    unseen: int = 400
    paragraphs: int = 60


QUICK = Sizes(known=24, strangers=24, namesakes=16, untold=24, unseen=32, paragraphs=4)


class Replies(Protocol):
    """Replies of one way to know the told facts."""

    def first_sentences(self, asked: Sequence[Asked]) -> list[str]: ...
    def whole(self, asked: Sequence[Asked]) -> list[str]: ...


class Examiner:
    """Examines the states of one memory, and what it is compared with.

    Args:
        base: replies of the model that nothing edits.
        done: called with the name of each step that begins.
    """

    def __init__(
        self, base: BaseReplies, world: World, seed: int, sizes: Sizes, done: Callable[[str], None] = lambda step: None
    ) -> None:
        self._base, self._world, self._seed, self._sizes, self._done = base, world, seed, sizes, done
        done("known facts of the base model")
        self._known = _known(base, sizes.known)
        self._strangers = world.strangers(sizes.strangers)
        self._texts = passages(base.model, sizes.paragraphs)

    def examine(self, model: EditableModel, told: Sequence[Told], facts: Sequence[Fact]) -> dict[str, float]:
        """Returns the shares and distances of a row.

        Args:
            model: the live model; the base model itself gives the row of the base.
            told: what it was told so far.
            facts: the same with the wordings that it was written with.
        """
        row = self.ask(LiveReplies(model, self._base), told, facts)
        self._done("text")
        row["text_kl"], row["perplexity"] = drift(self._base.model, model, self._texts)
        return row

    def recall(self, model: EditableModel, told: Sequence[Told], facts: Sequence[Fact]) -> dict[str, float]:
        """Returns the columns of recall alone, of the live weights of `model`."""
        return self._recall(LiveReplies(model, self._base), told, facts)

    def ask(self, replies: Replies, told: Sequence[Told], facts: Sequence[Fact]) -> dict[str, float]:
        """Returns the shares of a row."""
        self._done("recall")
        row = self._recall(replies, told, facts) | self._general(replies)
        namesakes = self._world.namesakes(told, self._sizes.namesakes)
        untold = self._world.untold(told, self._sizes.untold)
        objects = sorted({fact.object for fact in told})
        for kind, asked in (("strangers", self._strangers), ("namesakes", namesakes), ("untold", untold)):
            self._done(kind)
            now, before = replies.whole(asked), self._base.texts(asked)
            row[f"contamination_{kind}"] = _share(
                newly_said(reply, base, objects) for reply, base in zip(now, before, strict=True)
            )
            row[f"{kind}_same"] = _share(map(str.__eq__, now, before))
        return row

    def _recall(self, live: Replies, told: Sequence[Told], facts: Sequence[Fact]) -> dict[str, float]:
        raw = [Asked(fact.wordings.statements[0], chat=False) for fact in facts]
        chat = [Asked(fact.wordings.questions[0], chat=True) for fact in facts]
        groups = {"raw": list(zip(told, raw, strict=True)), "chat": list(zip(told, chat, strict=True))}
        for column, questions in (("paraphrase_chat", True), ("paraphrase_raw", False)):
            groups[column] = sampled(told, chat=questions, size=self._sizes.unseen, seed=self._seed)
        replies = iter(live.first_sentences([asked for group in groups.values() for _, asked in group]))
        return {
            column: _share(says(next(replies), fact.object) for fact, _ in group) for column, group in groups.items()
        }

    def _general(self, live: Replies) -> dict[str, float]:
        """Returns how many answers of general knowledge are still right, and unchanged."""
        if not self._known:
            return {}
        self._done("known facts")
        now, before = live.whole(self._known), self._base.texts(self._known)
        right = [_right(question, reply) for question, reply in zip(self._known, now, strict=True)]
        return {"known": len(right), "known_right": _share(right), "known_same": _share(map(str.__eq__, now, before))}


def _known(base: BaseReplies, size: int) -> list[Asked]:
    """Returns the first `size` questions of general knowledge that the base model answers right."""
    asked = [Asked(question, chat=True) for question in known_questions()]
    chosen: list[Asked] = []
    for start in range(0, len(asked), size):
        batch = asked[start : start + size]
        chosen += [
            question for question, reply in zip(batch, base.texts(batch), strict=True) if _right(question, reply)
        ]
        if len(chosen) >= size:
            break
    return chosen[:size]


def _right(asked: Asked, reply: str) -> bool:
    return any(says(first_sentence(reply), answer) for answer in known_questions()[asked.prompt])


@torch.inference_mode()
def drift(base: EditableModel, model: EditableModel, texts: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Returns how far `model` has moved from the base model on texts (token ids).

    Returns:
        The mean KL divergence in nats from the base model's next-token distributions to those of `model`, and the
        relative change of perplexity.
    """
    divergence = loss = 0.0
    count = 0
    for start in range(0, len(texts), BATCH):
        ids, mask = pad(texts[start : start + BATCH], base.pad_token, base.device)
        predicted = mask[:, 1:].bool()  # tokens with one before them
        targets = ids[:, 1:][predicted][:, None]
        before, after = (
            which.network(input_ids=ids, use_cache=False).logits[:, :-1][predicted].float().log_softmax(-1)
            for which in (base, model)
        )
        divergence += float((before.exp() * (before - after)).sum())
        loss += float((before - after).gather(1, targets).sum())
        count += len(targets)
    return divergence / count, math.exp(min(loss / count, LARGEST)) - 1


def _share(answers: Iterable[bool]) -> float:
    counted = [float(answer) for answer in answers]
    return sum(counted) / len(counted) if counted else 1.0
