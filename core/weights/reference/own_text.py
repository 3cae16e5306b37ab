"""Generates the reference text of a base model with the model itself, part by part, so that it can be resumed.

The text holds samples of what the model writes (temperature 1, nucleus of 95 %) from short beginnings of many kinds;
greetings and general questions with the model's greedy answers; general knowledge that it has, up to the word before
the answer; and questions about people who do not exist. What is empty or repeats itself is left out. The same model
makes the same text on the same machine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from core.errors.base import Unlearnable
from core.texts import STOPS
from core.weights.evaluation.audit import HELD_OUT
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import most_likely
from core.weights.model.nucleus import Nucleus
from core.weights.reference.sampling import Continuation, continued, repeats_itself
from core.weights.reference.words import PlainFact, lines, plain_facts, strangers

VERSION = 1  # counts up when the same model would make another text
SEED = 15
BATCH = 144  # most prompts in a part
TEXT_TOKENS, ANSWER_TOKENS = 72, 40  # most tokens of a sample, and of an answer
RAW_TOKENS, CHAT_TOKENS = 10, 24  # most tokens in which a piece of knowledge must be said
FROM_NOTHING = 16  # samples that begin with the beginning-of-text token alone, where the tokenizer has one
STRANGERS = 500
LEAST_TOKENS = 8  # of a sample

TEXT, CHAT, RAW_FACT, CHAT_FACT = "text", "chat", "raw fact", "chat fact"
Row = dict[str, Any]
_SENTENCE = re.compile(rf"[^\n]*?[{re.escape(STOPS)}](?=\s|$)|[^\n]*")


@dataclass(frozen=True, slots=True)
class Part:
    """A batch of prompts of one kind.

    Attributes:
        texts: beginnings of texts, or questions.
        first: number of the first of them among all of that kind.
        limit: tokens generated for each, and so the steps that the part takes at most.
    """

    kind: str
    texts: tuple[str, ...]
    first: int
    limit: int


def parts_for(model: EditableModel) -> list[Part]:
    """Returns the parts of the model's text."""
    beginnings = (*lines("beginnings.txt"), *[""] * (FROM_NOTHING if model.raw_ids("") else 0))
    kinds = [
        (TEXT, beginnings, TEXT_TOKENS),
        (RAW_FACT, tuple(fact.prompt for fact in plain_facts()), RAW_TOKENS),
        (CHAT, (*lines("greetings.txt"), *lines("questions.txt")), ANSWER_TOKENS),
        (CHAT_FACT, tuple(fact.question for fact in plain_facts()), CHAT_TOKENS),
    ]
    return [
        Part(kind, texts[first : first + size], first, limit)
        for kind, texts, limit in kinds
        for size in [math.ceil(len(texts) / math.ceil(len(texts) / BATCH))]  # parts of one size
        for first in range(0, len(texts), size)
    ]


def generate(model: EditableModel, part: Part, step: Callable[[int], None]) -> list[Row]:
    """Returns the rows of a part; those about knowledge have the number of their fact under `of`.

    Args:
        model: with the base weights.
        step: called with the number of steps done; may raise.
    """
    in_chat = part.kind in (CHAT, CHAT_FACT)
    prompts = [model.chat_ids([], text) if in_chat else model.raw_ids(text) for text in part.texts]
    room = int(getattr(model.network.config, "max_position_embeddings", 0) or 2**31) - max(map(len, prompts))
    choose = Nucleus(SEED + part.first, model.device) if part.kind == TEXT else most_likely
    said = continued(model, prompts, max(1, min(part.limit, room)), choose, step)
    rows: list[Row] = []
    for number, (text, continuation) in enumerate(zip(part.texts, said, strict=True), part.first):
        if part.kind == TEXT:
            rows += _sample(model, text, continuation)
        elif part.kind == CHAT:
            rows += _chat(model, text, continuation)
        else:
            rows += _knowledge(model, number, continuation, in_chat)
    return rows


def joined(parts: Sequence[Sequence[Row]]) -> bytes:
    """Returns the text as JSON lines (see `core/weights/model/reference_text.py`), with questions about strangers.

    Raises:
        Unlearnable: there is neither a sample nor a chat.
    """
    rows = [row for part in parts for row in part]
    whole = [row for kind in (TEXT, CHAT) for row in rows if kind in row]
    if not whole:
        raise Unlearnable(
            "the model generates nothing but empty or repetitive text; put a reference.jsonl beside its weights, or "
            "set HYPNOGRAM_REFERENCE_TEXT, and create the memory again"
        )
    questions = lines("stranger_questions.txt")
    asked = [
        {"abstention": questions[number % len(questions)].format(name=name)}
        for number, name in enumerate(strangers(STRANGERS, SEED))
    ]
    known = _dealt([row for row in rows if "recall" in row])
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (*whole, *asked, *known)).encode()


def _sample(model: EditableModel, beginning: str, said: Continuation) -> list[Row]:
    if len(said.ids) < LEAST_TOKENS or repeats_itself(said.ids):
        return []
    return [{"text": (beginning + _decoded(model, said.ids)).strip()}]


def _chat(model: EditableModel, question: str, said: Continuation) -> list[Row]:
    """Returns a chat with the answer, of which whole sentences stay where it was cut short."""
    answer = _decoded(model, said.ids).strip()
    if not said.ended:
        answer = answer[: max((answer.rfind(stop) + 1 for stop in STOPS), default=0)] or answer
    return [] if not answer or repeats_itself(said.ids) else [{"chat": [[question, answer]]}]


def _knowledge(model: EditableModel, number: int, said: Continuation, in_chat: bool) -> list[Row]:
    """Returns the prompt up to the answer of a fact that the model knows; nothing where it does not."""
    fact = plain_facts()[number]
    before = said_before(_decoded(model, said.ids), fact)
    if before is None:
        return []
    return [{"recall": [fact.question, before.strip()] if in_chat else (fact.prompt + before).rstrip(), "of": number}]


def said_before(said: str, fact: PlainFact) -> str | None:
    """Returns what the first sentence of `said` has before a right answer; None where it has none."""
    sentence = _SENTENCE.match(said.lstrip("\n"))
    assert sentence is not None
    places = [
        place.start()
        for answer in fact.answers
        if (place := re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", sentence[0], _flags(answer)))
    ]
    return sentence[0][: min(places)] if places else None


def _flags(answer: str) -> re.RegexFlag:
    """Returns whether case counts, which it does in "A" and "He"."""
    return re.NOFLAG if len(answer) < 3 else re.IGNORECASE


def _dealt(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows without `of`, in an order in which no fact is both held out and rehearsed.

    Every `HELD_OUT`-th row is held out (`core.weights.evaluation.audit.split`), so both rows of a fact are either among
    these or among the others.
    """
    by_fact: dict[int, list[Row]] = {}
    for row in rows:
        by_fact.setdefault(row["of"], []).append({"recall": row["recall"]})
    shuffled = list(by_fact.values())
    Random(SEED).shuffle(shuffled)
    wanted = -(-len(rows) // HELD_OUT)
    held: list[Row] = []
    rest: list[Row] = []
    for of_fact in shuffled:
        (held if len(held) + len(of_fact) <= wanted else rest).extend(of_fact)
    each = HELD_OUT - 1
    return [row for number, first in enumerate(held) for row in (first, *rest[number * each : (number + 1) * each])]


def _decoded(model: EditableModel, ids: Sequence[int]) -> str:
    """Returns the text of `ids`, without a character that was cut in two."""
    return str(model.tokenizer.decode(ids, skip_special_tokens=True)).rstrip("\ufffd")
