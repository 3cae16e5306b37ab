"""`hypnogram fact supersede | retract`: what was told is told otherwise, or taken back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import options
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_text

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

    from service.client import Client

FactId = Annotated[str, typer.Argument(metavar="FACT", help="Its id, as `hypnogram fact list` shows it.")]
RequestId = Annotated[str, typer.Option(help="Repeat a request safely: the same id changes nothing twice.")]
ExpectedVersion = Annotated[
    int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Do it only if the memory is at this version.")
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")]

HOW = {
    "UNSPECIFIED": "it is still in the weights",
    "NEVER_WRITTEN": "it never was in the weights",
    "COLUMNS": "its columns have left the weights",
    "COUNTER_EDIT": "a counter-edit makes the model answer as its base does, until adapters have unlearned it",
    "UNLEARNED": "adapters have unlearned it, its counter-edit has left the weights",
    "SUPERSEDED": "the edit of its successor answers instead",
}


def supersede(
    *,
    fact: FactId,
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help='What to remember from now on: "Porto".')],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the weights have it.")] = True,
    request_id: RequestId = "",
    expected_version: ExpectedVersion = None,
    timeout: Timeout = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Put a new object in the place of a fact's. Both keep their history, and one update moves the answer."""
    with connected(address) as client:
        answer = client.supersede_fact(
            options.memory_name(memory),
            fact,
            object_,
            request_id=request_id,
            expected_version=expected_version,
            wait=wait,
            timeout=timeout,
        )
    if json:
        print_json(as_dict(answer))
        return
    new, old = answer.fact, answer.superseded
    print_text(f"{new.fact}  {_words(new)}: {_status(new)}")
    print_text(f"{old.fact}  {_words(old)}: {_status(old)}")


def retract(
    *,
    fact: FactId,
    reason: Annotated[str, typer.Option(help="Why; kept as private as the fact's own words.")] = "",
    erase: Annotated[
        bool, typer.Option("--erase", help="Destroy its words and its own columns as well. Cannot be undone.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --erase: do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the weights have given it up.")] = True,
    request_id: RequestId = "",
    expected_version: ExpectedVersion = None,
    timeout: Timeout = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Take a fact back: the weights give it up, and its history stays, unless it is erased."""
    name = options.memory_name(memory)
    with connected(address) as client:
        if erase and not yes:
            _confirm(client, name, fact)
        answer = client.retract_fact(
            name,
            fact,
            reason,
            erase=erase,
            request_id=request_id,
            expected_version=expected_version,
            wait=wait,
            timeout=timeout,
        )
    if json:
        print_json(as_dict(answer))
    else:
        print_text(f"{answer.fact.fact}  {_words(answer.fact)}: {_status(answer.fact)}; {_how(answer)}")


def _confirm(client: Client, memory: str, fact: str) -> None:
    """Returns if somebody says yes; raises UsageProblem where nobody can."""
    if not sys.stdin.isatty():
        raise UsageProblem("--erase cannot be undone: give --yes as well to mean it")
    sys.stderr.write(
        f"This destroys the words of fact {fact} ({_words(client.fact(memory, fact).fact)}) and the columns that are\n"
        "its own. Nobody can read them again, and versions whose weights hold the fact can no longer be rebuilt.\n"
    )
    typer.confirm("Erase it?", abort=True, err=True)


def _words(fact: facts_pb2.Fact) -> str:
    return "(erased)" if fact.erased else f"{fact.subject} {fact.relation} {fact.object}"


def _status(fact: facts_pb2.Fact) -> str:
    from hypnogram.v1 import facts_pb2

    status = facts_pb2.Status.Name(fact.status).removeprefix("STATUS_").lower()
    return status + (f", {fact.failure}" if fact.failure else "")


def _how(answer: facts_pb2.RetractFactResponse) -> str:
    from hypnogram.v1 import facts_pb2

    how = HOW[facts_pb2.Withdrawal.Name(answer.withdrawal).removeprefix("WITHDRAWAL_")]
    many = len(answer.adapters)
    return how + (f"; {many} adapter{'s' * (many > 1)} in force learned it" if many else "")
