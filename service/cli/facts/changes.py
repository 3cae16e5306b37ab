"""`hypnogram fact supersede | retract`."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from core.wordings import in_words
from service.cli import options
from service.cli.facts.harm import warnings
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_text, raise_if_parked, status_words
from service.terminal.patience import patiently

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

    from hypnogram.client import Client

FactId = Annotated[str, typer.Argument(metavar="FACT", help="Id of the fact, as `hypnogram fact list` shows it.")]
RequestId = Annotated[str, typer.Option(help="Id of the request; repeating it changes nothing twice.")]
ExpectedVersion = Annotated[
    int | None,
    typer.Option(min=0, max=options.LAST_VERSION, help="Change something only if the memory is at this version."),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")]

HOW = {
    "UNSPECIFIED": "it is still in the weights",
    "NEVER_WRITTEN": "it was never in the weights",
    "COLUMNS": "its columns have left the weights",
    "COUNTER_EDIT": "a counter-edit makes the model answer as the base model does, until adapters have unlearned it",
    "UNLEARNED": "adapters have unlearned it, its counter-edit has left the weights",
    "SUPERSEDED": "the edit of its successor has replaced its own",
}


def supersede(
    *,
    fact: FactId,
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help='New object: "Porto".')],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the new fact is in the weights.")] = True,
    request_id: RequestId = "",
    expected_version: ExpectedVersion = None,
    timeout: Timeout = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Replace the object of a fact. Old and new fact keep their history, and one edit replaces the answer."""
    name, request = options.memory_name(memory), request_id or str(uuid.uuid4())
    with connected(address) as client:

        def ask(wait: bool, timeout: float) -> facts_pb2.SupersedeFactResponse:
            return client.supersede_fact(
                name,
                fact,
                object_,
                request_id=request,
                expected_version=expected_version,
                wait=wait,
                timeout=timeout,
            )

        answer = patiently(
            client, name, ask, "added", lambda answer: [answer.fact.fact], wait=wait, timeout=timeout, quiet=json
        )
    if json:
        print_json(as_dict(answer))
    else:
        for line in warnings(answer):
            print_text(line)
        for fact_now in (answer.fact, answer.superseded):
            print_text(f"{fact_now.fact}  {_words(fact_now)}: {status_words(fact_now)}")
    raise_if_parked([answer.fact])


def retract(
    *,
    fact: Annotated[
        str | None, typer.Argument(metavar="FACT", help="Id of the fact, as `hypnogram fact list` shows it.")
    ] = None,
    subject: Annotated[str, typer.Option(help="Retract all facts about this subject, instead of one by id.")] = "",
    reason: Annotated[str, typer.Option(help="Reason; sealed like the fact's own words.")] = "",
    erase: Annotated[
        bool, typer.Option("--erase", help="Destroy its words and its own columns as well. This cannot be undone.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation (with --erase or --subject).")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the fact has left the weights.")] = True,
    request_id: RequestId = "",
    expected_version: ExpectedVersion = None,
    timeout: Timeout = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Retract a fact, or all facts about a subject: they leave the weights, and their history stays unless erased."""
    if (fact is None) == (not subject):
        raise UsageProblem("give the id of one fact, or --subject")
    name, request = options.memory_name(memory), request_id or str(uuid.uuid4())
    with connected(address) as client:
        facts = [client.fact(name, fact).fact] if fact else _about(client, name, subject, erase=erase)
        if (erase or subject) and not yes:
            _confirm(facts, erase=erase)
        expected = expected_version if not subject else None
        for patience in (False, True) if wait and subject else (wait,):  # all are retracted before any is waited for
            answers = [
                _retract(
                    client,
                    name,
                    retracted.fact,
                    reason,
                    erase=erase,
                    request_id=f"{request}/{retracted.fact}" if subject else request,
                    expected_version=expected,
                    wait=patience,
                    timeout=timeout,
                    quiet=json,
                )
                for retracted in facts
            ]
    if json:
        print_json(as_dict(answers[0]) if fact else [as_dict(answer) for answer in answers])
        return
    for answer in answers:
        print_text(f"{answer.fact.fact}  {_words(answer.fact)}: {status_words(answer.fact)}; {_how(answer)}")
        for stated in answer.stated_in:
            turns = f"turn{'s' * (len(stated.turns) > 1)} {', '.join(map(str, stated.turns))}"
            print_text(
                f"still stated in {turns} of conversation {stated.conversation}; to destroy its texts: "
                f"hypnogram conversation erase {stated.conversation}"
            )


def _retract(
    client: Client,
    memory: str,
    fact: str,
    reason: str,
    *,
    erase: bool,
    request_id: str,
    expected_version: int | None,
    wait: bool,
    timeout: float,
    quiet: bool,
) -> facts_pb2.RetractFactResponse:
    def ask(wait: bool, timeout: float) -> facts_pb2.RetractFactResponse:
        return client.retract_fact(
            memory,
            fact,
            reason,
            erase=erase,
            request_id=request_id,
            expected_version=expected_version,
            wait=wait,
            timeout=timeout,
        )

    def ids(answer: facts_pb2.RetractFactResponse) -> list[str]:
        return [answer.fact.fact]

    return patiently(client, memory, ask, "retracted", ids, wait=wait, timeout=timeout, quiet=quiet)


def _about(client: Client, memory: str, subject: str, *, erase: bool) -> list[facts_pb2.Fact]:
    """Returns the facts about `subject` that can still be retracted, or erased."""
    known = client.facts(memory, subject=subject)
    facts = [fact for fact in known if not (fact.erased or (fact.retracted_version and not erase))]
    if not facts:
        raise UsageProblem(f"--subject {subject}: {memory} has no fact about it that could be retracted")
    return facts


def _confirm(facts: list[facts_pb2.Fact], *, erase: bool) -> None:
    """Returns if the user confirms; raises UsageProblem without a terminal."""
    what = "--erase cannot be undone" if erase else f"{len(facts)} facts would be retracted"
    if not sys.stdin.isatty():
        raise UsageProblem(f"{what}: give --yes to confirm")
    for fact in facts:
        sys.stderr.write(f"{fact.fact}  {_words(fact)}\n")
    if erase:
        sys.stderr.write(
            "This destroys these words and the columns of these facts. They can never be read again, and versions "
            "whose weights hold these columns can no longer be rebuilt.\n"
        )
    typer.confirm("Erase?" if erase else "Retract?", abort=True, err=True)


def _words(fact: facts_pb2.Fact) -> str:
    return "(erased)" if fact.erased else in_words(fact)


def _how(answer: facts_pb2.RetractFactResponse) -> str:
    from hypnogram.v1 import facts_pb2

    how = HOW[facts_pb2.Withdrawal.Name(answer.withdrawal).removeprefix("WITHDRAWAL_")]
    if not answer.adapters:
        return how
    adapters = "1 adapter" if len(answer.adapters) == 1 else f"{len(answer.adapters)} adapters"
    return f"{how}; {adapters} in force learned it"
