"""`hypnogram status`: how a memory is, and whether it needs sleep."""

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
    "crowding": "share of the room for keys that is taken; facts are refused at 1",
    "unabsorbed": "share of the wanted changes that edits in force left out",
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
    """Show how a memory is: its pressure and what it comes from, its facts by stage, its sleeps."""
    name = options.memory_name(memory)
    with connected(address) as client:
        version = options.version(client, name, at, at_version)
        answer = client.memory(name, version)
        sleeps = list(client.sleeps(name, version))
    found = answer.memory
    if json:
        print_json({**as_dict(answer), "sleeps": [as_dict(one) for one in sleeps]})
        return
    if found.HasField("unchanged") and (line := advice(found.unchanged)):
        print_text(f"{line}\n")
    print_pairs(
        (
            ("memory", f"{found.memory}, version {answer.version}"),
            ("statistics", _statistics(found)),
            ("executor", executor_line(answer.execution)),
            ("answers", answers_line(answer)),
            ("facts", ", ".join(_facts(found))),
            ("in force", f"{found.edits} edits, {found.adapters} adapters"),
            ("asleep", _asleep(found)),
            ("sleeps", _sleeps(found, sleeps)),
            ("pressure", f"{found.pressure:.2f}, the largest of"),
        )
    )
    print_table(
        "", ("need", "", "what it means"), ((name, f"{value:.2f}", NEEDS[name]) for name, value in _needs(found))
    )
    if found.needs.total >= 1:
        print_text("It should sleep before it is told more: `hypnogram sleep`.")
    if found.facts.parked:
        print_text(
            "`hypnogram fact list --status parked` lists them, `hypnogram fact show` says why; "
            "`hypnogram fact retry --all` tries again."
        )


def _needs(memory: memories_pb2.Memory) -> list[tuple[str, float]]:
    return [(name, getattr(memory.needs, name)) for name in NEEDS]


def _statistics(memory: memories_pb2.Memory) -> str:
    if memory.statistics_prepared:
        return "prepared"
    return f"not prepared yet{f': {memory.statistics_failure}' * bool(memory.statistics_failure)}"


def answers_line(answer: memories_pb2.GetMemoryResponse) -> str:
    """Whether the server has proven the weights."""
    if answer.readiness.proven:
        return "from weights that were proven to be the recorded ones"
    if answer.readiness.failure:
        return f"no: {answer.readiness.failure}"
    return "not proven yet" if answer.memory.statistics_prepared else "as its base does"


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
    last = [one for one in sleeps if one.ended][-1]
    outcome = "completed" if last.completed else f"rolled back: {last.remark}"
    return f"{memory.nights}, the last a {last.kind} that ended at version {last.ended_version}, {outcome}"
