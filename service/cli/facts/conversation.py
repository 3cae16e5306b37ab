"""`hypnogram conversation list | show | erase`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import options
from service.cli.facts.remembered import remembered_lines
from service.cli.output import as_dict, connected, print_json, print_table, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import chat_pb2

app = typer.Typer(help="List, show and erase conversations with a memory.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the conversation.")]


@app.command("list")
def list_(*, memory: options.MemoryName = None, address: options.Address = None, json: options.AsJson = False) -> None:
    """List the conversations with a memory, in the order begun."""
    with connected(address) as client:
        conversations = list(client.conversations(options.memory_name(memory)))
    if json:
        print_json([as_dict(conversation) for conversation in conversations])
        return
    rows = ((known.conversation, known.turns, known.unread, _state(known)) for known in conversations)
    print_table("", ("conversation", "turns", "unread", ""), rows)


@app.command("show")
def show(
    *,
    name: Name,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show the turns of a conversation, and what was remembered of them."""
    with connected(address) as client:
        turns = list(client.turns(options.memory_name(memory), name))
    if json:
        print_json([as_dict(turn) for turn in turns])
        return
    for turn in turns:
        cut = "" if turn.complete or turn.role == "user" else " [cut off]"
        print_text(f"{turn.turn} {turn.role}: {turn.text or '(erased)'}{cut}")
        for line in remembered_lines(turn.remembered) if turn.HasField("remembered") else ():
            print_text(f"    {line}")


@app.command("erase")
def erase(
    *,
    name: Name,
    facts: Annotated[bool, typer.Option("--facts", help="Erase the facts that were learned from it as well.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the texts are destroyed.")] = True,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 60.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Erase the texts of a conversation; facts that were learned from it stay unless --facts is given."""
    with connected(address) as client:
        answer = client.erase_conversation(options.memory_name(memory), name, facts=facts, wait=wait, timeout=timeout)
    if json:
        print_json(as_dict(answer))
        return
    also = f"; {len(answer.facts)} facts are erased with it" if answer.facts else ""
    print_text(f"conversation {name}: {_state(answer.conversation)}{also}")


def _state(known: chat_pb2.Conversation) -> str:
    return "erased" if known.erased else "to be erased" if known.closed_version else ""
