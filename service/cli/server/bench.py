"""`hypnogram bench`: the measurements behind the claims. `benchmarks/` holds what they do."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

import benchmarks
from service.cli import options
from service.cli.output import print_json, print_table
from service.terminal.spinner import progress
from service.terminal.stopping import stopped_by_signals

app = typer.Typer(help="Measure; prints one JSON document with --json, a table otherwise.", no_args_is_help=True)

FAULTS = ("kills", "io", "second", "clock", "disk", "servers")  # `PARTS` of `benchmarks.faults.run`
Seeds = Annotated[int, typer.Option(min=1, help="Runs with different random seeds.")]


@app.command("capacity")
def capacity(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Facts to tell, one at a time.")] = 200,
    seeds: Seeds = 3,
    json: options.AsJson = False,
) -> None:
    """How many facts a memory holds: recall, neighbours, strangers and perplexity as they grow in number."""
    _run("capacity", json, facts=facts, seeds=seeds)


@app.command("values")
def values(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Facts to write.")] = 64,
    seeds: Seeds = 1,
    json: options.AsJson = False,
) -> None:
    """How fast values are found one by one and in batches, at which recall."""
    _run("values", json, facts=facts, seeds=seeds)


@app.command("log")
def log(
    *,
    postgresql: Annotated[str | None, typer.Option(help="URL of a PostgreSQL database to measure, too.")] = None,
    json: options.AsJson = False,
) -> None:
    """How fast the log takes and folds events, beside the raw databases."""
    _run("log", json, postgresql=postgresql)


@app.command("sleep")
def sleep(
    *,
    facts: Annotated[
        str, typer.Option(help="Numbers of facts told, four a person, with commas between.")
    ] = "5,10,20,50",
    cycles: Annotated[int, typer.Option(min=1, help="Nights.")] = 3,
    seeds: Seeds = 3,
    json: options.AsJson = False,
) -> None:
    """What nights do to facts: recall by every path, what was not told, and how far edits have dissolved."""
    try:
        numbers = [int(number) for number in facts.split(",")]
    except ValueError:
        raise typer.BadParameter(
            "give whole numbers with commas between, as in 5,10,20", param_hint="--facts"
        ) from None
    if min(numbers) < 1:
        raise typer.BadParameter("numbers of facts must be 1 or more", param_hint="--facts")
    _run("sleep", json, facts=numbers, cycles=cycles, seeds=seeds)


@app.command("lifelong")
def lifelong(
    *,
    nights: Annotated[int, typer.Option(min=1, help="Nights.")] = 30,
    facts_per_night: Annotated[int, typer.Option(min=1, help="Facts told before each.")] = 10,
    seeds: Seeds = 1,
    json: options.AsJson = False,
) -> None:
    """New facts every day, a sleep every night: recall of everything ever told, by age."""
    _run("lifelong", json, nights=nights, facts_per_night=facts_per_night, seeds=seeds)


@app.command("repair")
def repair(*, seeds: Seeds = 3, json: options.AsJson = False) -> None:
    """Facts that overwrote one another, refreshed in one sleep or one by one."""
    _run("repair", json, seeds=seeds)


@app.command("gates")
def gates(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Facts told.")] = 20,
    cycles: Annotated[int, typer.Option(min=1, help="Nights.")] = 3,
    seeds: Seeds = 1,
    json: options.AsJson = False,
) -> None:
    """What each part of a sleep is worth: the same nights with one part left out."""
    _run("gates", json, facts=facts, cycles=cycles, seeds=seeds)


@app.command("retract")
def retract(
    *,
    facts: Annotated[int, typer.Option(min=2, help="Facts told.")] = 100,
    retracted: Annotated[int, typer.Option(min=1, help="Of them taken back again, fewer than were told.")] = 20,
    seeds: Seeds = 3,
    json: options.AsJson = False,
) -> None:
    """What is left of facts that were taken back, beside what leaving out their columns would leave."""
    if retracted >= facts:
        raise typer.BadParameter("must be less than --facts", param_hint="--retracted")
    _run("retract", json, facts=facts, retracted=retracted, seeds=seeds)


@app.command("history")
def history(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Facts told.")] = 200,
    nights: Annotated[int, typer.Option(min=0, help="Nights, at least.")] = 3,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep the memory in; one that is there already goes on.")
    ] = None,
    postgresql: Annotated[str | None, typer.Option(help="URL of a PostgreSQL server to import into, too.")] = None,
    json: options.AsJson = False,
) -> None:
    """What a history is good for and what it costs: proof, any version at once, forks, archives, retractions."""
    _run("history", json, facts=facts, nights=nights, keep=keep, postgresql=postgresql)


@app.command("faults")
def faults(
    *,
    kills: Annotated[int, typer.Option(min=0, help="kill -9: while telling, sleeping, erasing and importing.")] = 1000,
    second: Annotated[int, typer.Option(min=0, help="Erasures after which a second process comes and goes.")] = 200,
    events: Annotated[int, typer.Option(min=1, help="Events of each of eight writers on two servers.")] = 5000,
    stride: Annotated[int, typer.Option(min=1, help="Distance from one failing call of the disk to the next.")] = 1,
    only: Annotated[
        str, typer.Option(help="Parts to try, with commas between: kills, io, second, clock, disk, servers.")
    ] = ",".join(FAULTS),
    json: options.AsJson = False,
) -> None:
    """What is lost under faults: kill -9, failing disks, a second process, clocks that jump, two of everything."""
    parts = [part.strip() for part in only.split(",")]
    if unknown := [part for part in parts if part not in FAULTS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(FAULTS)}", param_hint="--only")
    _run("faults", json, kills=kills, second=second, events=events, stride=stride, only=parts)


def _run(name: str, json: bool, **options_: Any) -> None:
    """Prints the last of the documents that a benchmark yields as it goes: stopped, what it had measured until then."""
    document: dict[str, Any] | None = None
    with stopped_by_signals(lambda: _print_stopped(document, json)), progress(quiet=False) as bar:
        for so_far in importlib.import_module(f"{benchmarks.__name__}.{name}").run(progress=bar, **options_):
            document = so_far
    assert document is not None
    _print(document, json)


def _print_stopped(document: dict[str, Any] | None, json: bool) -> None:
    if document is None:
        typer.echo("stopped before anything was measured", err=True)
        return
    _print(document | {"stopped": True}, json)
    typer.echo("stopped before its end; this is what it had measured", err=True)


def _print(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    rows = document["rows"]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    print_table(document["bench"], columns, ([_cell(row.get(column, "")) for column in columns] for row in rows))


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
