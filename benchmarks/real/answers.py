"""Replies of the base model and of the live one, by greedy free generation.

A live reply is generated only where it differs: one pass over the base model's reply shows whether each of its tokens,
and its end, is still the greedy one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.real.people import Asked
from core.texts import STOPS
from core.weights.model import generation
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import MAX_NEW_TOKENS, generate_ids

BATCH = 16
_ENDS = re.compile(rf"(?<=[{re.escape(STOPS)}])(?=\s|[\"'”’»]|$)|\n")


def first_sentence(text: str) -> str:
    """Returns `text` up to the end of its first sentence or line."""
    return _ENDS.split(text.strip(), maxsplit=1)[0]


class BaseReplies:
    """The replies of a base model, each generated once and kept in a file of the cache.

    Args:
        model: with the base weights, which nothing changes.
        folder: of the file.
        digest: of the base model.
    """

    def __init__(self, model: EditableModel, folder: Path, digest: str) -> None:
        self.model = model
        code = hashlib.sha256(Path(generation.__file__).read_bytes() + torch.__version__.encode()).hexdigest()
        self._path = folder / f"replies-{digest[:16]}-{code[:8]}.json"
        self._known: dict[str, list[int]] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def ids(self, asked: Sequence[Asked]) -> list[list[int]]:
        """Returns the replies as token ids: a raw one up to the end of its sentence, a chat one of a whole turn."""
        missing = [question for question in dict.fromkeys(asked) if _key(question) not in self._known]
        if missing:
            replies = generated(self.model, missing, sentence=False)
            self._known |= {_key(question): ids for question, ids in zip(missing, replies, strict=True)}
            write_whole(self._path, json.dumps(self._known))
        return [self._known[_key(question)] for question in asked]

    def texts(self, asked: Sequence[Asked]) -> list[str]:
        """Returns the replies as texts."""
        return [text_of(self.model, ids) for ids in self.ids(asked)]


class LiveReplies:
    """The replies of an edited model."""

    def __init__(self, model: EditableModel, base: BaseReplies) -> None:
        self._model = model
        self._base = base

    def first_sentences(self, asked: Sequence[Asked]) -> list[str]:
        """Returns each reply up to the end of its first sentence."""
        replies = generated(self._model, asked, sentence=True)
        return [first_sentence(text_of(self._model, ids)) for ids in replies]

    def whole(self, asked: Sequence[Asked]) -> list[str]:
        """Returns each reply whole; equal texts are equal word for word to those of the base model."""
        base = self._base.ids(asked)
        kept = unchanged(self._model, asked, base)
        moved = [question for question, same in zip(asked, kept, strict=True) if not same]
        news = dict(zip(moved, generated(self._model, moved, sentence=False), strict=True))
        return [text_of(self._model, news.get(question, ids)) for question, ids in zip(asked, base, strict=True)]


def prompt_ids(model: EditableModel, asked: Asked) -> list[int]:
    """Returns the token ids of what is asked."""
    return model.chat_ids([], asked.prompt) if asked.chat else model.raw_ids(asked.prompt)


def generated(model: EditableModel, asked: Sequence[Asked], *, sentence: bool) -> list[list[int]]:
    """Returns the greedy replies as token ids, raw ones up to the end of the sentence, chat ones if `sentence`."""
    replies: dict[int, list[int]] = {}
    for chat in (False, True):
        places = [place for place, question in enumerate(asked) if question.chat is chat]
        if places:
            prompts = [prompt_ids(model, asked[place]) for place in places]
            replies |= dict(zip(places, generate_ids(model, prompts, sentence=sentence or not chat), strict=True))
    return [replies[place] for place in range(len(asked))]


@torch.inference_mode()
def unchanged(model: EditableModel, asked: Sequence[Asked], replies: Sequence[Sequence[int]]) -> list[bool]:
    """Returns whether each of `replies` (token ids) is the greedy one of `model`, to the end that it has."""
    rows = [
        (prompt_ids(model, question), list(ids), question.chat) for question, ids in zip(asked, replies, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda row: len(rows[row][0]) + len(rows[row][1]))
    same: dict[int, bool] = {}
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        ids, _ = pad([rows[row][0] + rows[row][1] for row in batch], model.pad_token, model.device)
        greedy = model.network(input_ids=ids, use_cache=False).logits.argmax(-1).tolist()
        same |= {row: _agrees(model, tokens, *rows[row]) for row, tokens in zip(batch, greedy, strict=True)}
    return [same[row] for row in range(len(rows))]


def _agrees(model: EditableModel, greedy: list[int], prompt: list[int], reply: list[int], chat: bool) -> bool:
    first, last = len(prompt) - 1, len(prompt) + len(reply) - 1  # positions that predict the reply, and its end
    text = model.tokenizer.decode(reply)
    cut = len(reply) == MAX_NEW_TOKENS or (not chat and ("\n" in text or any(stop in text for stop in STOPS)))
    return greedy[first:last] == reply and (cut or greedy[last] in model.end_tokens())


def text_of(model: EditableModel, ids: Sequence[int]) -> str:
    """Returns the text of a reply."""
    return str(model.tokenizer.decode(ids, skip_special_tokens=True))


def write_whole(path: Path, text: str) -> None:
    """Writes a file in one step, so that a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def _key(asked: Asked) -> str:
    return f"{'chat' if asked.chat else 'raw'}:{asked.prompt}"
