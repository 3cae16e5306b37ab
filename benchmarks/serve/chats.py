"""Measures how fast chats are answered over HTTP, beside plain generation by transformers with the same prompts."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import torch

from benchmarks.serve.hosts import Host, name
from core.weights.model.editable_model import EditableModel

QUESTIONS = (
    "Tell me about the sea, and what lives in it.",
    "How is bread made, from the field to the table?",
    "Why do people climb mountains?",
    "Describe a quiet street in the early morning.",
    "What should I look at when I buy a used bicycle?",
    "Tell a short story about a fox and a lamp.",
    "How does a library keep its books in order?",
    "What is the difference between a lake and a pond?",
)
PATIENCE = 600.0  # seconds for one answer
LONG = "Go on for as long as you can."  # so that answers have about as many tokens as they may


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers and tokens that were generated, and in how many seconds."""

    answers: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def answers_per_second(self) -> float:
        return self.answers / self.seconds


def question(number: int) -> str:
    return f"{QUESTIONS[number % len(QUESTIONS)]} {LONG}"


def served(host: Host, *, streams: int, memories: int, tokens: int, seconds: float) -> Rate:
    """Asks a server for `seconds`, in so many streams at a time, which take turns with the memories.

    Every stream ends the answer that it has begun; the rate is over all answers up to the last.
    """
    _ask(host, 0, tokens)  # loads the model
    for number in range(1, memories):
        _ask(host, number, 1)
    until = time.monotonic() + seconds

    def stream(number: int) -> list[int]:
        generated = [_ask(host, number % memories, tokens, number)]
        while time.monotonic() < until:
            generated.append(_ask(host, (number + len(generated) * streams) % memories, tokens, number))
        return generated

    began = time.monotonic()
    with ThreadPoolExecutor(streams) as pool:
        answers = [answer for answers in pool.map(stream, range(streams)) for answer in answers]
    return Rate(len(answers), sum(answers), time.monotonic() - began)


def _ask(host: Host, memory: int, tokens: int, number: int = 0) -> int:
    """Returns the number of tokens of an answer."""
    connection = http.client.HTTPConnection(urlsplit(host.http).netloc, timeout=PATIENCE)
    body = {
        "model": name(memory),
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": tokens,
    }
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = json.load(connection.getresponse())
    finally:
        connection.close()
    return int(answer["usage"]["completion_tokens"])


def plain(model: EditableModel, *, streams: int, tokens: int, seconds: float) -> Rate:
    """Generates with transformers alone for `seconds`, `streams` answers in a batch."""
    tokenizer = model.tokenizer
    tokenizer.padding_side = "left"
    prompts = [model.chat_text([], question(number)) for number in range(streams)]
    batch = tokenizer(prompts, add_special_tokens=False, padding=True, return_tensors="pt")
    ends = set(model.end_tokens())
    wide = batch["input_ids"].shape[1]

    def once() -> int:
        generated = model.network.generate(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=tokens,
            do_sample=False, pad_token_id=model.pad_token,
        )  # fmt: skip
        return sum(_until_end(row[wide:].tolist(), ends) for row in generated)

    return _repeated(once, streams, seconds)


@torch.inference_mode()
def _repeated(once: Callable[[], int], streams: int, seconds: float) -> Rate:
    once()
    began, counted = time.monotonic(), list[int]()
    while not counted or time.monotonic() - began < seconds:
        counted.append(once())
    return Rate(streams * len(counted), sum(counted), time.monotonic() - began)


def _until_end(tokens: Sequence[int], ends: set[int]) -> int:
    """Returns the number of tokens before the end of the turn."""
    return next((number for number, token in enumerate(tokens) if token in ends), len(tokens))
