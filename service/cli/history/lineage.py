"""`hypnogram lineage`: the events of one fact and their causes, and where its columns are."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
        bool, typer.Option("--why", help="Show only the last decision on its stage, and what led to it.")
    ] = False,
    where: Annotated[
        bool, typer.Option("--where", help="Show its columns instead: which bytes of which artifacts.")
    ] = False,
    table: Annotated[bool, typer.Option("--table", help="Show a table with one event in each row.")] = False,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show the lineage of one fact as a tree: each event below its cause."""
    if where and (why or table):
        raise UsageProblem("--where shows bytes instead of events: drop --why and --table")
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
    lines = [f"{words}: {status_words(fact)}, stage {fact.stage}, scale {fact.scale:g}"]
    if source := list(_source(fact.source)):
        lines.append(f"added {', '.join(source)}")
    if fact.predecessor:
        lines.append(f"supersedes fact {fact.predecessor}")
    if fact.successor:
        lines.append(f"superseded by fact {fact.successor}")
    return "\n".join(lines)


def _source(source: facts_pb2.Source) -> Iterator[str]:
    if source.client:
        yield f"by {source.client}"
    if source.conversation:
        yield f"in conversation {source.conversation}, turn {source.turn}"
    if source.span:
        yield f"in the words {source.span!r}" + (f", characters {source.start} to {source.end}" if source.end else "")


def _print_tree(entries: Sequence[Entry]) -> None:
    """Prints each event below its last cause, preferring causes about the fact; further causes are named beside it."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    versions = {entry.event.id: entry.event.version for entry in entries}
    about = {entry.event.id: entry.concerns for entry in entries}
    parents: dict[str, str] = {}
    effects: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        causes = [cause for cause in entry.caused_by if cause in versions]
        for cause in sorted(causes, key=lambda cause: (about[cause], versions[cause])):
            parents[entry.event.id] = cause
            effects[cause].append(entry.event.version)
    root = Tree("", hide_root=True)
    branches: dict[str, Tree] = {}
    for entry in entries:
        event, parent = entry.event, parents.get(entry.event.id, "")
        above = branches.get(parent, root)
        further = [versions[cause] for cause in entry.caused_by if cause in versions and cause != parent]
        because = f"  ← also {_listed(further)}" if further else ""
        led = sorted(set(effects[event.id]))
        led_to = f"  → {_listed(led)}" if led else ""
        label = Text(f"{event.version} ", style="bold")
        label.append(f"{event.type}  ", style="bold cyan" if entry.decisive else "cyan" if entry.concerns else "dim")
        label.append(f"{entry.summary}", style="" if entry.concerns else "dim")
        label.append(because + led_to, style="dim")
        branches[event.id] = above.add(label)
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(root)


def _listed(versions: Sequence[int]) -> str:
    shown = ", ".join(map(str, versions[:6]))
    return shown + (f" and {len(versions) - 6} more" if len(versions) > 6 else "")


def _print_table(entries: Sequence[Entry]) -> None:
    versions = {entry.event.id: entry.event.version for entry in entries}
    rows = (
        (
            entry.event.version,
            entry.event.recorded_at.ToJsonString(),
            entry.event.type,
            ", ".join(f"v{versions[cause]}" for cause in entry.caused_by if cause in versions),
            entry.summary,
        )
        for entry in entries
    )
    print_table("", ("version", "when", "what", "because of", "in words"), rows)


def _print_columns(columns: Sequence[facts_pb2.Columns]) -> None:
    rows = (
        (
            block.artifact,
            block.edit,
            f"{block.first} to {block.first + block.count - 1}" if block.count > 1 else str(block.first),
            f"{block.offset} to {block.offset + block.length - 1}" if block.length else "not its own",
            f"in force at scale {block.scale:g}" if block.in_force else "out of force",
            "yes" if block.readable else "no",
        )
        for block in columns
    )
    print_table("", ("artifact", "edit", "columns", "bytes", "in the weights", "readable"), rows)
