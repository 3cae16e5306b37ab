"""`hypnogram bench`: runs the measurements of `benchmarks/`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import benchmarks
from service.cli import options
from service.cli.output import print_json, print_table
from service.terminal.spinner import progress
from service.terminal.stopping import stopped_by_signals

app = typer.Typer(help="Run a benchmark; print a table, or one JSON document with --json.", no_args_is_help=True)

FAULTS = ("kills", "io", "second", "clock", "disk", "servers")  # `PARTS` of `benchmarks.faults.run`
FEW = 10  # rows that are printed side by side
Seeds = Annotated[int, typer.Option(min=1, help="Number of runs, each with its own random seed.")]
RealModel = Annotated[str, typer.Option(help="Real base model: a name, or a folder. Default: dormouse.")]
FewQuestions = Annotated[bool, typer.Option("--quick", help="Ask a real model few questions.")]
SENTENCES = ("first", "second", "third", "fourth", "fifth", "sixth")  # `TEMPLATES` of the dialogues
ARMS = ("values", "adapter", "ten steps a fact")  # `ARMS` of `benchmarks.sleep`


@app.command("capacity")
def capacity(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Number of facts to add, one at a time.")] = 200,
    seeds: Seeds = 3,
    json: options.AsJson = False,
) -> None:
    """Measure capacity: recall, locality and perplexity as the number of facts grows."""
    _run("capacity", json, facts=facts, seeds=seeds)


@app.command("values")
def values(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Number of facts to write.")] = 64,
    seeds: Seeds = 1,
    json: options.AsJson = False,
) -> None:
    """Measure the search for target values, one by one and in batches: speed and recall."""
    _run("values", json, facts=facts, seeds=seeds)


@app.command("log")
def log(
    *,
    postgresql: Annotated[str | None, typer.Option(help="URL of a PostgreSQL database to measure as well.")] = None,
    json: options.AsJson = False,
) -> None:
    """Measure how fast the log appends and folds events, compared with the raw databases."""
    _run("log.appends", json, postgresql=postgresql)


@app.command("sleep")
def sleep(
    *,
    facts: Annotated[
        str, typer.Option(help="Numbers of facts to add, four for each person, separated by commas.")
    ] = "5,10,20,50",
    cycles: Annotated[int, typer.Option(min=1, help="Number of sleeps.")] = 3,
    seeds: Seeds = 3,
    model: RealModel = "",
    arms: Annotated[str, typer.Option(help="What sleeps train on a real model, separated by commas.")] = ",".join(ARMS),
    quick: FewQuestions = False,
    json: options.AsJson = False,
) -> None:
    """Measure what sleeps do to facts: recall by pathway, locality, and stages.

    On a real model there are two facts for each person. A sleep that ships trains `values`; `adapter` and `ten steps a
    fact` train a LoRA.
    """
    names = [name.strip() for name in arms.split(",")]
    if unknown := [name for name in names if name not in ARMS]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(ARMS)}", param_hint="--arms")
    _run(
        "sleep", json, facts=_numbers(facts, "--facts"), cycles=cycles, seeds=seeds, model=model, arms=names,
        quick=quick,
    )  # fmt: skip


@app.command("lifelong")
def lifelong(
    *,
    nights: Annotated[int, typer.Option(min=1, help="Number of sleeps.")] = 30,
    facts_per_night: Annotated[int, typer.Option(min=1, help="Number of facts added before each sleep.")] = 10,
    seeds: Seeds = 1,
    model: RealModel = "",
    quick: FewQuestions = False,
    json: options.AsJson = False,
) -> None:
    """Measure recall by age while facts are added every day and a sleep follows every night."""
    _run("lifelong", json, nights=nights, facts_per_night=facts_per_night, seeds=seeds, model=model, quick=quick)


@app.command("repair")
def repair(*, seeds: Seeds = 3, json: options.AsJson = False) -> None:
    """Measure the refresh of facts that overwrote one another, in one sleep or one by one."""
    _run("repair", json, seeds=seeds)


@app.command("gates")
def gates(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Number of facts to add.")] = 20,
    cycles: Annotated[int, typer.Option(min=1, help="Number of sleeps.")] = 3,
    seeds: Seeds = 1,
    model: RealModel = "",
    quick: FewQuestions = False,
    json: options.AsJson = False,
) -> None:
    """Measure the effect of each part of a sleep: the same sleeps with one part left out."""
    _run("gates", json, facts=facts, cycles=cycles, seeds=seeds, model=model, quick=quick)


@app.command("retract")
def retract(
    *,
    facts: Annotated[int, typer.Option(min=2, help="Number of facts to add.")] = 100,
    retracted: Annotated[int, typer.Option(min=1, help="Number of them to retract, less than --facts.")] = 20,
    seeds: Seeds = 3,
    model: RealModel = "",
    method: Annotated[str, typer.Option(help="How facts are written to a real model. Default: the model's.")] = "",
    json: options.AsJson = False,
) -> None:
    """Measure what is left of retracted facts, compared with leaving out their columns alone.

    On a real model half of the retracted facts are all facts about their people, and the weights without them are
    compared with those of a memory that was never told them.
    """
    if retracted >= facts:
        raise typer.BadParameter("must be less than --facts", param_hint="--retracted")
    _run("retract", json, facts=facts, retracted=retracted, seeds=seeds, model=model, method=method)


@app.command("real")
def real(
    *,
    model: Annotated[str, typer.Option(help="Base model: a name, or a folder.")] = "smollm2",
    facts: Annotated[int, typer.Option(min=1, help="Number of facts to add, one at a time.")] = 200,
    per_subject: Annotated[str, typer.Option(help="Numbers of facts about one person, separated by commas.")] = "1,2,4",
    seeds: Seeds = 3,
    seed: Annotated[int | None, typer.Option(help="Seed of one run, in place of --seeds runs.")] = None,
    methods: Annotated[
        str, typer.Option(help="How facts are written, separated by commas, each also `without history`.")
    ] = "neuron,memit,memit without history",
    tokens: Annotated[int, typer.Option(min=1, help="Number of held-out tokens to count false fires in.")] = 1_000_000,
    quick: Annotated[
        bool, typer.Option("--quick", help="Eight facts of a development seed, few questions: minutes.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option(help="Measure the base model too, alone and with told facts in the prompt.")
    ] = True,
    quantization: Annotated[str, typer.Option(help="Quantization of the model: none, int8 or nf4.")] = "",
    json: options.AsJson = False,
) -> None:
    """Measure a real model: recall in unseen wordings, and what told facts change elsewhere.

    A run that is killed goes on where it was when the same command is run again. Each bar is printed as PASS or MISS.
    """
    names = [method.strip() for method in methods.split(",")]
    _run(
        "real.run", json, model=model, facts=facts, per_subject=_numbers(per_subject, "--per-subject"), seeds=seeds,
        seed=seed, methods=names, tokens=tokens, quick=quick, baselines=baselines, quantization=quantization,
    )  # fmt: skip


@app.command("real-speed")
def real_speed(
    *,
    model: Annotated[str, typer.Option(help="Base model: a name, or a folder.")] = "smollm2",
    method: Annotated[str, typer.Option(help="How facts are written. Default: the model's.")] = "",
    facts: Annotated[int, typer.Option(min=8, help="Number of facts in the largest batch.")] = 32,
    json: options.AsJson = False,
) -> None:
    """Measure the seconds of a fact on a real model, of preparation and of answers."""
    _run("real.speed", json, model=model, method=method, facts=facts)


@app.command("serve")
def serve(
    *,
    model: Annotated[str, typer.Option(help="Base model: a name, or a folder.")] = "smollm2",
    streams: Annotated[
        str, typer.Option(help="Numbers of answers that are asked for at the same time, separated by commas.")
    ] = "1,8,32",
    memories: Annotated[
        str, typer.Option(help="Numbers of memories that chats and calls are spread over, separated by commas.")
    ] = "1,32",
    clients: Annotated[int, typer.Option(min=1, help="Number of clients that get and add facts.")] = 64,
    sizes: Annotated[
        str, typer.Option(help="Numbers of memories whose start and idle cost are measured, separated by commas.")
    ] = "1,100",
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds for which each rate is measured, at least.")] = 20.0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads of the server and of plain generation.")] = 1,
    json: options.AsJson = False,
) -> None:
    """Measure a server: chats beside plain generation, calls of many clients, what memories cost, seconds to SERVING.

    Each bar is printed as PASS or MISS.
    """
    _run(
        "serve.run", json, model=model, streams=_numbers(streams, "--streams"),
        memories=_numbers(memories, "--memories"), clients=clients, sizes=_numbers(sizes, "--sizes"), tokens=tokens,
        seconds=seconds, threads=threads,
    )  # fmt: skip


@app.command("soak")
def soak(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes to keep on, the warm-up included.")] = 10.0,
    clients: Annotated[int, typer.Option(min=1, help="Number of clients, each a process.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what clients do.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Keep on for half a minute alone.")] = False,
    json: options.AsJson = False,
) -> None:
    """Measure what a server and an executor hold while clients do all they can: memory, files, threads, errors.

    Each bar is printed as PASS or MISS.
    """
    _run("soak.run", json, minutes=minutes, clients=clients, seed=seed, quick=quick)


@app.command("conversation")
def conversation(
    *,
    dialogues: Annotated[int, typer.Option(min=1, help="Number of dialogues to generate.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed that the dialogues depend on.")] = 1,
    templates: Annotated[
        str,
        typer.Option(
            help="Sentences: `first`, `second` or `fifth`, which it was made with, `third` or `fourth`, or `sixth`, "
            "with which nothing was made or chosen."
        ),
    ] = "third",
    mistakes: Annotated[bool, typer.Option("--mistakes", help="List each mistake; with --json.")] = False,
    model: Annotated[
        str, typer.Option(help="Base model that is asked afterwards: a name, or a folder. Default: none is.")
    ] = "",
    answers: Annotated[int, typer.Option(min=1, max=20, help="Number of dialogues to hold with the model.")] = 3,
    about_user: Annotated[int, typer.Option(min=0, max=8, help="Number of facts about the user to state in them.")] = 2,
    general: Annotated[int, typer.Option(min=1, max=100, help="Number of general questions to ask the model.")] = 100,
    json: options.AsJson = False,
) -> None:
    """Measure what is learned from dialogues: precision, recall, and whether the last word holds.

    With a model also whether that answers what was said, with an empty context.
    """
    if templates not in SENTENCES:
        raise typer.BadParameter(f"{templates!r} is not one of {', '.join(SENTENCES)}", param_hint="--templates")
    asked = {"dialogues": answers, "about_user": about_user, "general": general}
    _run(
        "conversation.run", json, count=dialogues, seed=seed, templates=templates, mistakes=mistakes, model=model,
        sizes=asked,
    )  # fmt: skip


@app.command("history")
def history(
    *,
    facts: Annotated[int, typer.Option(min=1, help="Number of facts to add.")] = 200,
    nights: Annotated[int, typer.Option(min=0, help="Number of sleeps, at least.")] = 3,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep the memory in; an existing one is continued.")
    ] = None,
    postgresql: Annotated[str | None, typer.Option(help="URL of a PostgreSQL server to import into as well.")] = None,
    json: options.AsJson = False,
) -> None:
    """Measure what history costs: verification, past versions, forks, archives, retractions."""
    _run("log.history", json, facts=facts, nights=nights, keep=keep, postgresql=postgresql)


@app.command("faults")
def faults(
    *,
    kills: Annotated[
        int, typer.Option(min=0, help="Number of kill -9, while adding, sleeping, erasing and importing.")
    ] = 1000,
    second: Annotated[
        int, typer.Option(min=0, help="Number of erasures after which a second process starts and ends.")
    ] = 200,
    events: Annotated[
        int, typer.Option(min=1, help="Number of events of each of eight writers on two servers.")
    ] = 5000,
    stride: Annotated[int, typer.Option(min=1, help="Number of disk calls from one failing call to the next.")] = 1,
    only: Annotated[
        str, typer.Option(help="Parts to run, separated by commas: kills, io, second, clock, disk, servers.")
    ] = ",".join(FAULTS),
    model: Annotated[str, typer.Option(help="Real base model to kill nights on, and nothing else.")] = "",
    json: options.AsJson = False,
) -> None:
    """Measure what is lost under faults: kill -9, failing disks, a second process, jumping clocks, two servers."""
    parts = [part.strip() for part in only.split(",")]
    if unknown := [part for part in parts if part not in FAULTS]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(FAULTS)}", param_hint="--only")
    _run("faults.run", json, kills=kills, second=second, events=events, stride=stride, only=parts, model=model)


def _numbers(text: str, option: str) -> list[int]:
    """Returns numbers of 1 or more that are separated by commas. Raises BadParameter."""
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        raise typer.BadParameter("give whole numbers separated by commas, as in 5,10,20", param_hint=option) from None
    if min(numbers) < 1:
        raise typer.BadParameter("numbers must be 1 or more", param_hint=option)
    return numbers


def _run(name: str, json: bool, **options_: Any) -> None:
    """Prints the last document that a benchmark yields; after a signal, the last one until then."""
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
    typer.echo("stopped before its end; this is what was measured until then", err=True)


def _print(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    _table(document["bench"], document["rows"])
    for part in ("answers", "operations", "errors", "bars"):
        if document.get(part):
            _table(part, document[part])


def _table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints a line for each row; a column for each where rows are few and long."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    if len(rows) < FEW < len(columns):
        print_table(title, ["", *("" for _ in rows)], zip(columns, *cells, strict=True))
    else:
        print_table(title, columns, cells)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
