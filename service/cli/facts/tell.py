"""`hypnogram tell`: facts from a sentence."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from core.wordings import in_words
from service.cli import options
from service.cli.facts.harm import warnings
from service.cli.output import as_dict, connected, print_json, print_table, print_text, raise_if_parked, status_words
from service.terminal.patience import patiently

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2


def tell(
    *,
    text: Annotated[
        str, typer.Argument(help='What you say: "Robin Smith likes hiking and lives in Oslo."; - is standard input.')
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Add nothing; show what would be added.")] = False,
    conversation: Annotated[str, typer.Option(help="Conversation to note as the source.")] = "",
    turn: Annotated[int, typer.Option(min=0, help="Turn of that conversation.")] = 0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the facts are in the weights.")] = True,
    request_id: Annotated[str, typer.Option(help="Id of the request; repeating it adds nothing twice.")] = "",
    expected_version: Annotated[
        int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Add only if the memory is at this version.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Add the facts in what you say, and show what was found and why each other candidate is not a fact."""
    from hypnogram.v1 import facts_pb2

    said = sys.stdin.read() if text == "-" else text
    name, request = options.memory_name(memory), request_id or str(uuid.uuid4())
    source = facts_pb2.Source(client="cli", conversation=conversation, turn=turn)
    with connected(address) as client:

        def ask(wait: bool, timeout: float) -> facts_pb2.TellTextResponse:
            return client.tell_text(
                name,
                said,
                source=source,
                request_id=request,
                expected_version=expected_version,
                wait=wait,
                validate_only=dry_run,
                timeout=timeout,
            )

        answer = patiently(client, name, ask, "added", _ids, wait=wait and not dry_run, timeout=timeout, quiet=json)
    facts = [candidate.result.fact for candidate in answer.candidates if candidate.HasField("result")]
    if json:
        print_json(as_dict(answer))
    else:
        _show(answer, said, dry_run)
    if not dry_run:
        raise_if_parked(facts)


def _ids(answer: facts_pb2.TellTextResponse) -> list[str]:
    return [candidate.result.fact.fact for candidate in answer.candidates if candidate.HasField("result")]


def _show(answer: facts_pb2.TellTextResponse, said: str, dry_run: bool) -> None:
    """Prints every candidate with the words that state it, and what has become of it."""
    results = [candidate.result for candidate in answer.candidates if candidate.HasField("result")]
    for line in warnings(answer, results):
        print_text(line)
    rows = [
        (candidate.result.fact.fact, in_words(candidate), _outcome(candidate, dry_run), _quoted(candidate, said))
        for candidate in answer.candidates
    ]
    if rows:
        print_table("", ("id", "fact", "outcome", "in the words"), rows)
    if not results:
        print_text("No fact was found in it." if not rows else "Nothing was added.")
    elif dry_run:
        print_text("Nothing was added: a dry run.")
    for candidate in answer.candidates:
        if candidate.HasField("contradicts") and candidate.contradicts.fact:
            typer.echo(
                f'note: "{in_words(candidate)}" contradicts "{in_words(candidate.contradicts)}" '
                f"(fact {candidate.contradicts.fact}): supersede or retract what no longer holds",
                err=True,
            )


def _outcome(candidate: facts_pb2.Candidate, dry_run: bool) -> str:
    """Returns what has become of a candidate, in words."""
    if not candidate.HasField("result"):
        return f"not added: {candidate.explanation}"
    if not candidate.result.added:
        return "known already"
    return "would be added" if dry_run else f"added, {status_words(candidate.result.fact, short=True)}"


def _quoted(candidate: facts_pb2.Candidate, said: str) -> str:
    """Returns the words that state a candidate, in one line, with their place."""
    words = " ".join(said[candidate.start : candidate.end].split())
    return f"{words} ({candidate.start}-{candidate.end})"
