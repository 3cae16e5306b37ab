"""`hypnogram status`: the status of a memory, and whether it needs sleep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from service.cli import options
from service.cli.facts.harm import advice
from service.cli.output import as_dict, connected, print_json, print_pairs, print_table, print_text
from service.terminal.reasons import executor_line

if TYPE_CHECKING:
    from hypnogram.v1 import memories_pb2

NEEDS = {
    "key_occupancy": "share of the key space that is taken; facts are refused at 1",
    "unachieved": "share of the target changes that edits in force did not achieve",
    "degraded": "share of the facts that their last audit found degraded",
    "age": "versions since the last sleep, while edits carry facts",
}


def status(
    *,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show a memory's status: its pressure and the parts of it, its facts by stage, its sleeps."""
    name = options.memory_name(memory)
    with connected(address) as client:
        version = options.version(client, name, at, at_version)
        answer = client.memory(name, version)
        sleeps = list(client.sleeps(name, version))
    shown = answer.memory
    if json:
        print_json({**as_dict(answer), "sleeps": [as_dict(sleep) for sleep in sleeps]})
        return
    if shown.HasField("unchanged") and (line := advice(shown.unchanged)):
        print_text(f"{line}\n")
    print_pairs(
        (
            ("memory", f"{shown.memory}, version {answer.version}"),
            ("statistics", _statistics(shown)),
            ("executor", executor_line(answer.execution)),
            ("answers", answers_line(answer)),
            ("facts", ", ".join(_facts(shown))),
            *([("turns", f"{shown.unread_turns} are still to be read for facts")] if shown.unread_turns else []),
            ("in force", f"{shown.edits} edits, {shown.adapters} adapters"),
            *([("false fires", false_fires_line(shown))] if shown.method == "neuron" else []),
            ("asleep", _asleep(shown)),
            ("sleeps", _sleeps(shown, sleeps)),
            ("pressure", f"{shown.pressure:.2f}, the largest of"),
        )
    )
    print_table(
        "",
        ("need", "", "what it means"),
        ((name.replace("_", " "), f"{value:.2f}", NEEDS[name]) for name, value in _needs(shown)),
    )
    if shown.needs.total >= 1:
        print_text("It should sleep before more facts are added: `hypnogram sleep`.")
    if shown.facts.parked:
        print_text(
            "`hypnogram fact list --status parked` lists them, `hypnogram fact show` says why; "
            "`hypnogram fact retry --all` tries again."
        )


def _needs(memory: memories_pb2.Memory) -> list[tuple[str, float]]:
    return [(name, getattr(memory.needs, name)) for name in NEEDS]


def _statistics(memory: memories_pb2.Memory) -> str:
    if memory.statistics_prepared:
        return "prepared"
    return f"not prepared yet: {memory.statistics_failure}" if memory.statistics_failure else "not prepared yet"


def answers_line(answer: memories_pb2.GetMemoryResponse) -> str:
    """Returns whether the server has proven the weights, in words."""
    if answer.readiness.proven:
        return "from weights that were proven to be the recorded ones"
    if answer.readiness.failure:
        return f"no: {answer.readiness.failure}"
    return "not proven yet" if answer.memory.statistics_prepared else "as its base model does"


def false_fires_line(memory: memories_pb2.Memory) -> str:
    """Returns how often neurons respond in other text, and how often they may."""
    return f"{memory.false_fires:g} of {memory.sleep.false_fires_limit:g} allowed in a million tokens of other text"


def _facts(memory: memories_pb2.Memory) -> Iterator[str]:
    for stage, count in enumerate(memory.facts.stages):
        yield f"{count} at stage {stage}"
    for name in ("pending", "parked", "withdrawn"):
        if count := getattr(memory.facts, name):
            yield f"{count} {name}"


def _asleep(memory: memories_pb2.Memory) -> str:
    asleep = memory.asleep
    return f"{asleep.kind} {asleep.sleep}, at {asleep.step}" if asleep.sleep else "no"


def _sleeps(memory: memories_pb2.Memory, sleeps: list[Any]) -> str:
    if not memory.nights:
        return "none yet"
    last = [sleep for sleep in sleeps if sleep.ended][-1]
    outcome = "completed" if last.completed else f"rolled back: {last.remark}"
    return f"{memory.nights}, the last a {last.kind} that ended at version {last.ended_version}, {outcome}"
