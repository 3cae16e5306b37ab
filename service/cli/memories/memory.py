"""`hypnogram memory create | list | show | rebase | delete`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypnogram.client import CallFailed
from service.cli import options
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_pairs, print_table, print_text
from service.cli.policy_options import assign, set_policy
from service.terminal.reasons import for_memory
from service.terminal.spinner import waiting

if TYPE_CHECKING:
    from hypnogram.client import Client

POLL_SECONDS = 0.2
COUNTS = ("injected", "dissolved", "pending", "parked", "withdrawn")

app = typer.Typer(help="Create, list, show and delete memories.", no_args_is_help=True)


@app.command("create")
def create(
    *,
    name: Annotated[str | None, typer.Argument(help="Name of the memory. Default: HYPNOGRAM_MEMORY, or demo.")] = None,
    model: Annotated[
        str, typer.Option(help="Name of a pulled base model, or the path of one. Default: dormouse.")
    ] = "",
    revision: Annotated[str, typer.Option(help="Revision of a Hugging Face repository.")] = "",
    dtype: Annotated[
        str, typer.Option(help="Dtype of the edited modules: float32, bfloat16 or float16. Default: float32.")
    ] = "",
    quantization: Annotated[str, typer.Option(help="Quantization of the other modules: none, int8 or nf4.")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Hyperparameter, as in --set steps=40; may be given several times."),
    ] = None,
    sleep: Annotated[
        list[str] | None,
        typer.Option(
            "--sleep", help="Value of its sleep policy, as in --sleep training.steps=80; may be given several times."
        ),
    ] = None,
    capacity: Annotated[
        float | None, typer.Option(help="Key occupancy above which facts are refused. Default: the model's.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="How facts are written: neuron, memit or answer_site. Default: the model's.")
    ] = "",
    remember: Annotated[
        str, typer.Option(help="What happens with facts in chats that do not say: off, ask or on. Default: off.")
    ] = "",
    keep_texts: Annotated[
        int,
        typer.Option(
            min=0, help="Days after which the texts of a conversation are erased, at most 36500. Default: 0, never."
        ),
    ] = 0,
    about_user: Annotated[
        bool,
        typer.Option("--about-user", help="Learn what a user says about themselves, too. Of the method neuron alone."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until an executor has prepared what facts need.")
    ] = True,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 600.0,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Create a memory on a base model, by default on dormouse, the small model that is included."""
    from hypnogram.v1 import memories_pb2

    base = memories_pb2.BaseModel(name=_absolute(model), revision=revision, dtype=dtype, quantization=quantization)
    hyperparameters = memories_pb2.Hyperparameters()
    for assignment in set_ or ():
        _set(hyperparameters, assignment)
    with connected(address) as client:
        policy = set_policy({}, {}, sleep or (), "--sleep")
        with waiting("the server to read and load the base model", quiet=json):
            answer = client.create_memory(
                options.memory_name(name),
                base,
                hyperparameters,
                policy,
                capacity,
                method,
                remember,
                keep_texts,
                about_user,
            )
        if wait:
            answer = _prepared(client, answer, timeout, json)
    _show(answer, json)


@app.command("list")
def list_(address: options.Address = None, json: options.AsJson = False) -> None:
    """List the memories of a server."""
    with connected(address) as client:
        memories = list(client.memories())
    if json:
        print_json([as_dict(memory) for memory in memories])
    else:
        print_table("", ("memory", "version"), ((memory.memory, memory.version) for memory in memories))


@app.command("show")
def show(
    *,
    name: Annotated[str | None, typer.Argument(help="Name of the memory. Default: HYPNOGRAM_MEMORY, or demo.")] = None,
    at: options.At = None,
    at_version: options.AtVersion = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show a memory: its base model, its facts by status, its pressure and the digest of its weights."""
    with connected(address) as client:
        chosen = options.memory_name(name)
        answer = client.memory(chosen, options.version(client, chosen, at, at_version))
    _show(answer, json)


@app.command("rebase")
def rebase(
    *,
    name: Annotated[str, typer.Argument(help="Name of the memory.")],
    model: Annotated[str, typer.Argument(help="New path of its base model, or the name of a pulled one.")],
    revision: Annotated[str, typer.Option(help="Revision of a Hugging Face repository.")] = "",
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Record where the base model of a memory is now; its files must be the same."""
    with connected(address) as client:
        answer = client.rebase_memory(name, _absolute(model), revision)
    _show(answer, json)


@app.command("delete")
def delete(
    *,
    name: Annotated[str, typer.Argument(help="Name of the memory.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the words of its facts are destroyed.")
    ] = True,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 600.0,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Delete a memory with its words and deltas. Its events stay in the log without words. This cannot be undone."""
    with connected(address) as client:
        if not yes:
            _confirm(name, client.memory(name).memory)
        answer, until = client.delete_memory(name), time.monotonic() + timeout
        with waiting("an executor to destroy its words; the memory is deleted already", quiet=json):
            while wait and not answer.purged and time.monotonic() < until:
                time.sleep(POLL_SECONDS)
                answer = client.delete_memory(name, expected_version=answer.version)  # not a new memory of its name
    if json:
        print_json(as_dict(answer))
    elif answer.purged:
        kept = f"; {answer.kept} facts keep theirs, because forks share them" if answer.kept else ""
        print_text(f"{name} is deleted: the words of {answer.keys} facts are destroyed{kept}.")
    else:
        why = f" ({answer.failure})" if answer.failure else ""
        print_text(f"{name} is deleted at version {answer.version}; an executor is yet to destroy its words{why}.")
    if wait and not answer.purged:
        said = f"the words of {name} are not destroyed after {timeout:g} s; run the command again to wait on"
        raise CallFailed("DEADLINE_EXCEEDED", said)


def _prepared(client: Client, answer: Any, timeout: float, quiet: bool) -> Any:
    """Returns the memory once its statistics are prepared; before that where time runs out or no executor is at it."""
    from hypnogram.v1 import memories_pb2

    name, until = answer.memory.memory, time.monotonic() + timeout
    with waiting(for_memory(client, name), quiet=quiet):
        while not (answer.memory.statistics_prepared or answer.memory.statistics_failure) and time.monotonic() < until:
            now = client.memory(name)
            answer = memories_pb2.CreateMemoryResponse(memory=now.memory, version=now.version)
            if not now.execution.alive:
                break
            time.sleep(POLL_SECONDS)
    return answer


def _confirm(name: str, memory: Any) -> None:
    """Returns if the user types the memory's name; raises UsageProblem without a terminal."""
    if not sys.stdin.isatty():
        raise UsageProblem("delete cannot be undone: give --yes to confirm")
    facts = sum(getattr(memory.facts, count) for count in COUNTS)
    sys.stderr.write(
        f"This destroys the words and deltas of {name}, {facts} facts; it cannot be undone. Type its name: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise UsageProblem("nothing was deleted")


def _show(answer: Any, json: bool) -> None:
    if json:
        print_json(as_dict(answer))
        return
    from hypnogram.v1 import memories_pb2

    from service.cli.memories.status import answers_line, false_fires_line

    memory = answer.memory
    unmeasured = f"not measured yet: {memory.statistics_failure}" if memory.statistics_failure else "not measured yet"
    rows = (
        ("memory", memory.memory),
        ("version", answer.version),
        ("base", f"{memory.base.name} ({memory.base.dtype}, quantization {memory.base.quantization})"),
        ("method", memory.method),
        ("facts", ", ".join(f"{getattr(memory.facts, name)} {name}" for name in COUNTS)),
        ("key occupancy", f"{memory.key_occupancy:.3f} of {memory.capacity:.3f}"),
        ("false fires", false_fires_line(memory) if memory.method == "neuron" else ""),
        ("pressure", f"{memory.pressure:.2f}"),
        ("weights", memory.weights_digest or unmeasured),
        ("answers", answers_line(answer) if isinstance(answer, memories_pb2.GetMemoryResponse) else ""),
        ("created", memory.created_at.ToJsonString()),
        ("forked from", f"{memory.parent}, version {memory.parent_version}" if memory.parent else ""),
        ("checkpoints", memory.checkpoints or ""),
        ("relations", ", ".join(memory.relations)),
    )
    print_pairs(row for row in rows if row[1] != "")


def _absolute(model: str) -> str:
    """Returns the absolute path of a path that exists here, and any other name of a model unchanged."""
    path = Path(model).expanduser()
    return str(path.absolute()) if model and path.exists() else model


def _set(hyperparameters: Any, assignment: str) -> None:
    name, equals, value = assignment.partition("=")
    try:
        assigned = bool(equals) and assign(hyperparameters, name, value)
    except ValueError:
        raise UsageProblem(f"--set {assignment}: {value!r} is not a value for {name}") from None
    if not assigned:
        names = ", ".join(sorted(hyperparameters.DESCRIPTOR.fields_by_name))
        raise UsageProblem(f"--set {assignment}: write name=value; the names are {names}")
