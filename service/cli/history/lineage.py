"""`hypnogram lineage`: the life of one fact, why it is where it is, and where that is."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.wordings import in_words
from service.cli import options
from service.cli.output import WIDE, UsageProblem, as_dict, connected, print_json, print_table, print_text, status_words

if TYPE_CHECKING:
    from hypnogram.v1 import facts_pb2
    from rich.tree import Tree

    Entry = facts_pb2.LineageEntry


def lineage(
    *,
    fact: Annotated[str, typer.Argument(help="Id of a fact, as `hypnogram fact list` shows it.")],
    why: Annotated[
        bool, typer.Option("--why", help="Only what put it at its present stage: the last decision, what led to it.")
    ] = False,
    where: Annotated[
        bool, typer.Option("--where", help="Instead, its own columns: which bytes of which artifacts they are.")
    ] = False,
    table: Annotated[bool, typer.Option("--table", help="As a table, an event a row.")] = False,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show the life of one fact as a tree: every event about it below what caused it."""
    if where and (why or table):
        raise UsageProblem("--where shows bytes and no events: drop --why and --table")
    with connected(address) as client:
        name = options.memory_name(memory)
        answer = client.lineage(name, fact, options.version(client, name, at, at_version))
    if json:
        print_json(as_dict(answer))
        return
    entries = [entry for entry in answer.entries if entry.decisive or not why]
    print_text(_heading(answer.fact))
    if where:
        _print_columns(answer.columns)
    elif table:
        _print_table(entries)
    else:
        _print_tree(entries)


def _heading(fact: facts_pb2.Fact) -> str:
    words = "(erased)" if fact.erased else in_words(fact)
    said = [f"{words}: {status_words(fact)}, stage {fact.stage}, scale {fact.scale:g}"]
    source = fact.source
    came = [f"by {source.client}"] * bool(source.client)
    came += [f"in conversation {source.conversation}, turn {source.turn}"] * bool(source.conversation)
    came += [f"in the words {source.span!r}"] * bool(source.span)
    said += [f"told {', '.join(came)}"] * bool(came)
    said += [f"in the place of fact {fact.predecessor}"] * bool(fact.predecessor)
    said += [f"superseded by fact {fact.successor}"] * bool(fact.successor)
    return "\n".join(said)


def _print_tree(entries: Sequence[Entry]) -> None:
    """Each event below its last cause, one about the fact if there is one; the other causes are named beside it."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    versions = {entry.event.id: entry.event.version for entry in entries}
    about = {entry.event.id: entry.concerns for entry in entries}
    parents: dict[str, str] = {}
    effects: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        causes = [one for one in entry.caused_by if one in versions]
        for cause in sorted(causes, key=lambda one: (about[one], versions[one])):
            parents[entry.event.id] = cause
            effects[cause].append(entry.event.version)
    root = Tree("", hide_root=True)
    branches: dict[str, Tree] = {}
    for entry in entries:
        event, parent = entry.event, parents.get(entry.event.id, "")
        above = branches.get(parent, root)
        others = [versions[one] for one in entry.caused_by if one in versions and one != parent]
        because = f"  ← also {_listed(others)}" if others else ""
        led = sorted(set(effects[event.id]))
        led_to = f"  → {_listed(led)}" if led else ""
        label = Text(f"{event.version} ", style="bold")
        label.append(f"{event.type}  ", style="bold cyan" if entry.decisive else "cyan" if entry.concerns else "dim")
        label.append(f"{entry.summary}", style="" if entry.concerns else "dim")
        label.append(because + led_to, style="dim")
        branches[event.id] = above.add(label)
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(root)


def _listed(versions: Sequence[int]) -> str:
    shown = ", ".join(str(one) for one in versions[:6])
    return shown + (f" and {len(versions) - 6} more" if len(versions) > 6 else "")


def _print_table(entries: Sequence[Entry]) -> None:
    versions = {entry.event.id: entry.event.version for entry in entries}
    rows = (
        (
            entry.event.version,
            entry.event.recorded_at.ToJsonString(),
            entry.event.type,
            ", ".join(f"v{versions[one]}" for one in entry.caused_by if one in versions),
            entry.summary,
        )
        for entry in entries
    )
    print_table("", ("version", "when", "what", "because of", "in words"), rows)


def _print_columns(columns: Sequence[facts_pb2.Columns]) -> None:
    rows = (
        (
            one.artifact,
            one.edit,
            f"{one.first} to {one.first + one.count - 1}" if one.count > 1 else str(one.first),
            f"{one.offset} to {one.offset + one.length - 1}" if one.length else "not its own",
            f"in force at scale {one.scale:g}" if one.in_force else "out of force",
            "yes" if one.readable else "no",
        )
        for one in columns
    )
    print_table("", ("artifact", "edit", "columns", "bytes", "in the weights", "readable"), rows)
