"""`hypnogram fact add | list | show`; `service/cli/facts/changes.py` has supersede and retract."""

from __future__ import annotations

import json as json_module
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.wordings import in_words
from hypnogram.client import CallFailed
from service.cli import options
from service.cli.facts import changes, retry
from service.cli.facts.dry_run import print_wordings
from service.cli.facts.harm import warnings
from service.cli.output import (
    UsageProblem,
    as_dict,
    connected,
    print_json,
    print_pairs,
    print_table,
    print_text,
    raise_if_parked,
    status_words,
)
from service.terminal.patience import patiently

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2

    from hypnogram.client import Client

BATCH = 256  # facts in one request

app = typer.Typer(help="Add facts to a memory, show their status, retract them.", no_args_is_help=True)
app.command("supersede")(changes.supersede)
app.command("retract")(changes.retract)
app.command("retry")(retry.retry)


@app.command("add")
def add(
    *,
    subject: Annotated[
        str | None, typer.Argument(metavar="[SUBJECT]", help='Subject of the fact: "Aria Voss".')
    ] = None,
    relation: Annotated[
        str | None, typer.Argument(metavar="[RELATION]", help='Relation of the object to the subject: "lives in".')
    ] = None,
    object_: Annotated[str | None, typer.Argument(metavar="[OBJECT]", help='Object to remember: "Lisbon".')] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Add many facts: a file with one JSON object like NewFact in each line; - is standard input.",
        ),
    ] = None,
    statement: Annotated[
        list[str] | None,
        typer.Option(help="Prompt that ends right before the object; may be given several times."),
    ] = None,
    question: Annotated[list[str] | None, typer.Option(help="Question of a user; may be given several times.")] = None,
    answer: Annotated[str, typer.Option(help="Beginning of a chat answer, up to the object.")] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Add nothing; show the prompts that the fact would have, and where they are from."
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the fact is in the weights.")] = True,
    request_id: Annotated[str, typer.Option(help="Id of the request; repeating it adds nothing twice.")] = "",
    expected_version: Annotated[
        int | None, typer.Option(min=0, max=options.LAST_VERSION, help="Add only if the memory is at this version.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait, for each batch of facts.")] = 600.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Add a fact, or a file of facts. They are durable as soon as the server acknowledges them."""
    if file is not None:
        if subject is not None or statement or question or answer:
            raise UsageProblem("give either a file or one fact, not both")
        facts, lines = _read(file)
    elif subject is None or relation is None or object_ is None:
        raise UsageProblem('name subject, relation and object, as in: hypnogram fact add "Aria Voss" "lives in" Lisbon')
    else:
        facts, lines = [_worded(subject, relation, object_, statement or [], question or [], answer)], []
    name, request = options.memory_name(memory), request_id or str(uuid.uuid4())
    answers: list[facts_pb2.AddFactsResponse] = []
    with connected(address) as client:
        for start in range(0, len(facts), BATCH):
            batch_id = request if len(facts) <= BATCH else f"{request}/{start}"
            expected = expected_version if not start else None
            ask = _batch(client, name, facts[start : start + BATCH], batch_id, expected, dry_run)
            try:
                answers.append(
                    patiently(client, name, ask, "added", _ids, wait=wait and not dry_run, timeout=timeout, quiet=json)
                )
            except CallFailed as error:
                raise _of_file(error, file, lines[start:], start) if file is not None else error from None
    results = [result for answer in answers for result in answer.results]
    _print_added(answers[-1], results, json, dry_run)
    raise_if_parked([result.fact for result in results])


def _batch(
    client: Client,
    memory: str,
    facts: list[facts_pb2.NewFact],
    request_id: str,
    expected_version: int | None,
    dry_run: bool,
) -> Callable[[bool, float], facts_pb2.AddFactsResponse]:
    """Returns the call that adds `facts`; its arguments are whether to wait, and the timeout in seconds."""

    def ask(wait: bool, timeout: float) -> facts_pb2.AddFactsResponse:
        return client.add_facts(
            memory,
            facts,
            request_id=request_id,
            expected_version=expected_version,
            wait=wait,
            validate_only=dry_run,
            timeout=timeout,
        )

    return ask


def _worded(
    subject: str, relation: str, object_: str, statements: list[str], questions: list[str], answer: str
) -> facts_pb2.NewFact:
    """Returns a fact, with the prompts that the user gave, if any."""
    from hypnogram.v1 import facts_pb2

    wordings = None
    if statements or questions or answer:
        answer = answer or (statements or [""])[0]
        wordings = facts_pb2.Wordings(statements=statements, questions=questions, answer=answer)
    return facts_pb2.NewFact(subject=subject, relation=relation, object=object_, wordings=wordings)


def _print_added(
    last: facts_pb2.AddFactsResponse, results: list[facts_pb2.AddedFact], json: bool, dry_run: bool
) -> None:
    """Prints the results of all batches; `last` is the response to the last batch."""
    from hypnogram.v1 import facts_pb2

    if json:
        whole = facts_pb2.AddFactsResponse(results=results, version=last.version)
        if last.HasField("unchanged"):
            whole.unchanged.CopyFrom(last.unchanged)
        print_json(as_dict(whole))
    elif dry_run:
        print_wordings(results)
    else:
        for line in warnings(last, results):
            print_text(line)
        _table([result.fact for result in results])
    for result in results:
        for similar in result.may_contradict:
            typer.echo(
                f'note: "{in_words(result.fact)}" may contradict "{in_words(similar)}" (fact {similar.fact}): '
                "supersede or retract what no longer holds",
                err=True,
            )


@app.command("list")
def list_(
    *,
    status: Annotated[
        str, typer.Option(help="Only facts of this status: pending, injected, dissolved, parked or withdrawn.")
    ] = "",
    subject: Annotated[str, typer.Option(help="Only facts about this subject.")] = "",
    search: Annotated[str, typer.Option(help='Only facts in which all these words occur: "voss lisbon".')] = "",
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """List the facts of a memory in the order added."""
    from hypnogram.v1 import facts_pb2

    statuses = dict(facts_pb2.Status.items())
    wanted = statuses.get(f"STATUS_{status.upper()}" if status else "STATUS_UNSPECIFIED")
    if wanted is None:
        raise UsageProblem(f"--status {status}: it is pending, injected, dissolved, parked or withdrawn")
    with connected(address) as client:
        name = options.memory_name(memory)
        version = options.version(client, name, at, at_version)
        facts = list(client.facts(name, status=wanted, subject=subject, search=search, at_version=version))
    if json:
        print_json([as_dict(fact) for fact in facts])
    else:
        _table(facts)


@app.command("show")
def show(
    *,
    fact: Annotated[str, typer.Argument(help="Id of the fact, as `hypnogram fact list` shows it.")],
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show one fact: its words, its prompts and its status."""
    with connected(address) as client:
        name = options.memory_name(memory)
        answer = client.fact(name, fact, options.version(client, name, at, at_version))
    values = as_dict(answer)
    if json:
        print_json(values)
        return
    shown = values["fact"]
    wordings = shown.pop("wordings", {})
    shown["status"] = status_words(answer.fact)
    shown.pop("failure")
    shown["source"] = ", ".join(f"{name} {value}" for name, value in shown["source"].items() if value)
    shown["status"] = shown["status"].removeprefix("STATUS_").lower()
    print_pairs(
        (name.replace("_", " "), _plain(value)) for name, value in (shown | wordings).items() if not _is_empty(value)
    )


def _is_empty(value: Any) -> bool:
    return value in ("", [], {}, None)


def _plain(value: Any) -> object:
    """Returns a value as people write it; the items of a list below each other."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(map(str, value)) if isinstance(value, list) else value


def _ids(answered: facts_pb2.AddFactsResponse) -> list[str]:
    return [result.fact.fact for result in answered.results]


def _of_file(error: CallFailed, file: Path, lines: list[int], before: int) -> CallFailed:
    """Returns the same failure with lines of the file for places in the request, and what was added before it."""
    said = re.sub(r"facts\[(\d+)\]", lambda place: f"line {lines[int(place[1])]}", error.message)
    added = f"the {before} facts before line {lines[0]} are added and durable" if before else "nothing of it was added"
    message = f"--file {file}: {said}"
    if before or error.code != "DEADLINE_EXCEEDED":  # the message of a passed deadline says what is durable
        message += f"; {added}"
    return CallFailed(error.code, message, error.reason, error.metadata, error.fields)


def _read(file: Path) -> tuple[list[Any], list[int]]:
    """Returns the facts in `file`, and the number of each one's line."""
    from google.protobuf import json_format
    from hypnogram.v1 import facts_pb2

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"--file {file}: {error}") from None
    facts, lines = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            lines.append(number)
            try:
                facts.append(json_format.ParseDict(json_module.loads(line), facts_pb2.NewFact()))
            except (json_module.JSONDecodeError, json_format.ParseError, AttributeError, TypeError) as error:
                raise UsageProblem(f"--file {file}, line {number}: {error}") from None
    if not facts:
        raise UsageProblem(f"--file {file}: it holds no fact")
    return facts, lines


def _table(facts: list[facts_pb2.Fact]) -> None:
    from hypnogram.v1 import facts_pb2

    rows = (
        (
            fact.fact,
            in_words(fact) or "(erased)",
            status_words(fact, short=True),
            str(fact.stage) if fact.status in (facts_pb2.STATUS_INJECTED, facts_pb2.STATUS_DISSOLVED) else "",
            ("healthy" if fact.healthy else "degraded") if fact.HasField("healthy") else "",
        )
        for fact in facts
    )
    print_table("", ("id", "fact", "status", "stage", "last audit"), rows)
