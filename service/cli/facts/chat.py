"""`hypnogram chat | complete`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.facts.remembered import remembered_lines
from service.cli.facts.talk import Talk
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_text
from service.terminal.reasons import for_answer
from service.terminal.spinner import until_first

if TYPE_CHECKING:
    from hypnogram.v1 import chat_pb2

MaxTokens = Annotated[int, typer.Option(min=1, max=4096, help="Tokens to generate, at most.")]
MinVersion = Annotated[
    int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Wait for weights of at least this version.")
]


RememberFacts = Annotated[
    str,
    typer.Option(help="What happens with facts that you state: off, ask or on. Default: as the memory was created."),
]
REMEMBER = ("", "off", "ask", "on")


def chat(
    *,
    text: Annotated[str | None, typer.Argument(help="Message to send. Left out: a conversation.")] = None,
    system: Annotated[str, typer.Option(help="Instructions before the conversation (system message).")] = "",
    max_tokens: MaxTokens = 128,
    min_version: MinVersion = None,
    at: options.At = None,
    at_version: options.AtVersion = None,
    conversation: Annotated[str, typer.Option(help="Conversation to record the turns in, or to go on with.")] = "",
    remember: RememberFacts = "",
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Chat with a memory, now or at an older version: one message, or a conversation where none is given."""
    if remember not in REMEMBER:
        raise UsageProblem(f"--remember {remember}: it is {', '.join(REMEMBER[1:])}")
    name = options.memory_name(memory)
    with connected(address) as client:
        talk = Talk(
            client,
            name,
            max_tokens=max_tokens,
            min_version=min_version,
            at_version=options.version(client, name, at, at_version),
            conversation=conversation,
            remember=remember,
            turns=[{"role": "system", "content": system}] if system else [],
        )
        if text is None and not json and sys.stdin.isatty():
            from service.cli.facts.repl import Repl  # which takes a while to import

            Repl(talk).run()
            return
        for said in [text] if text is not None else _lines():
            _print_pieces(until_first(talk.say(said), for_answer(client, name, min_version), quiet=json), json)


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


def _print_pieces(pieces: Iterable[chat_pb2.ChatResponse | chat_pb2.CompleteResponse], json: bool) -> None:
    """Prints an answer as it arrives, then what was remembered."""
    from hypnogram.v1 import chat_pb2

    texts: list[str] = []
    last: chat_pb2.ChatResponse | chat_pb2.CompleteResponse = chat_pb2.ChatResponse()
    remembered: chat_pb2.Remembered | None = None
    for piece in pieces:
        if isinstance(piece, chat_pb2.ChatResponse) and piece.HasField("remembered"):
            remembered = piece.remembered
            continue
        last = piece
        texts.append(last.text)
        if not json:
            print_text(last.text, end="\n" if last.finish else "")
    if json:
        finish = chat_pb2.Finish.Name(last.finish).removeprefix("FINISH_").lower()
        shown = {
            "text": "".join(texts),
            "finish": finish,
            "version": last.version,
            "weights_digest": last.weights_digest,
        }
        print_json(shown | _recorded(last, remembered))
    elif not last.finish:
        print_text("")
    for line in remembered_lines(remembered) if remembered and not json else ():
        print_text(f"[{line}]")


def _recorded(
    last: chat_pb2.ChatResponse | chat_pb2.CompleteResponse, remembered: chat_pb2.Remembered | None
) -> dict[str, Any]:
    """Returns where the turn is recorded and what was remembered of it, as JSON values; nothing where it is not."""
    from hypnogram.v1 import chat_pb2

    if not isinstance(last, chat_pb2.ChatResponse) or not last.conversation:
        return {}
    read = {"remembered": as_dict(remembered)} if remembered else {}
    return {"conversation": last.conversation, "turn": last.turn, **read}


def _lines() -> Iterable[str]:
    """Yields the lines of standard input that are not blank."""
    for line in sys.stdin:
        if line.strip():
            yield line.strip()
