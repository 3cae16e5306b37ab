"""`hypnogram chat | complete`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import options
from service.cli.output import connected, print_json, print_text
from service.terminal.reasons import for_answer
from service.terminal.spinner import until_first

if TYPE_CHECKING:
    from hypnogram.v1 import chat_pb2

MaxTokens = Annotated[int, typer.Option(min=1, max=4096, help="Tokens to generate, at most.")]
MinVersion = Annotated[
    int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Wait for weights of at least this version.")
]


def chat(
    *,
    text: Annotated[str | None, typer.Argument(help="Message to send. Left out: a conversation, line by line.")] = None,
    system: Annotated[str, typer.Option(help="Instructions before the conversation (system message).")] = "",
    max_tokens: MaxTokens = 128,
    min_version: MinVersion = None,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Chat with a memory, now or at an older version: one message, or a conversation where none is given."""
    name = options.memory_name(memory)
    turns = [{"role": "system", "content": system}] if system else []
    with connected(address) as client:
        version = options.version(client, name, at, at_version)
        for said in [text] if text is not None else _lines():
            turns.append({"role": "user", "content": said})
            asked = client.chat(name, turns, max_tokens=max_tokens, min_version=min_version, at_version=version)
            pieces = until_first(asked, for_answer(client, name, min_version), quiet=json)
            turns.append({"role": "assistant", "content": _print_pieces(pieces, json)})


def complete(
    *,
    prompt: Annotated[str, typer.Argument(help='Text to continue: "Aria Voss lives in".')],
    max_tokens: MaxTokens = 32,
    min_version: MinVersion = None,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Continue a text with a memory, now or at an older version."""
    name = options.memory_name(memory)
    with connected(address) as client:
        version = options.version(client, name, at, at_version)
        asked = client.complete(name, prompt, max_tokens=max_tokens, min_version=min_version, at_version=version)
        _print_pieces(until_first(asked, for_answer(client, name, min_version), quiet=json), json)


def _print_pieces(pieces: Iterable[chat_pb2.ChatResponse | chat_pb2.CompleteResponse], json: bool) -> str:
    """Prints an answer as it arrives, and returns it."""
    from hypnogram.v1 import chat_pb2

    texts = []
    last: chat_pb2.ChatResponse | chat_pb2.CompleteResponse = chat_pb2.ChatResponse()
    for last in pieces:
        texts.append(last.text)
        if not json:
            print_text(last.text, end="")
    whole = "".join(texts)
    if json:
        finish = chat_pb2.Finish.Name(last.finish).removeprefix("FINISH_").lower()
        print_json({"text": whole, "finish": finish, "version": last.version, "weights_digest": last.weights_digest})
    else:
        print_text("")
    return whole


def _lines() -> Iterable[str]:
    """Yields the lines of standard input that are not blank, with a prompt where that is a terminal."""
    prompted = sys.stdin.isatty()
    while True:
        if prompted:
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()
