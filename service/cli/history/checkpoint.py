"""`hypnogram checkpoint mark | list`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import options
from service.cli.output import as_dict, connected, print_json, print_table, print_text

app = typer.Typer(help="Name versions of a memory.", no_args_is_help=True)


@app.command("mark")
def mark(
    *,
    name: Annotated[str, typer.Argument(help="Name of the checkpoint: monday.")],
    at: options.At = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Name a version, by default the newest."""
    chosen = options.memory_name(memory)
    with connected(address) as client:
        answer = client.mark(chosen, name, options.version(client, chosen, at))
    if json:
        print_json(as_dict(answer))
        return
    checkpoint = answer.checkpoint
    print_text(f"{checkpoint.name} is version {checkpoint.version} of {chosen}.")


@app.command("list")
def list_(
    *,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """List the checkpoints of a memory in the order marked."""
    name = options.memory_name(memory)
    with connected(address) as client:
        checkpoints = list(client.checkpoints(name, options.version(client, name, at, at_version)))
    if json:
        print_json([as_dict(mark) for mark in checkpoints])
        return
    rows = (
        (mark.name, mark.version, mark.weights_digest[:12] or "not measured yet", mark.marked_version)
        for mark in checkpoints
    )
    print_table("", ("checkpoint", "version", "weights", "marked at version"), rows)
