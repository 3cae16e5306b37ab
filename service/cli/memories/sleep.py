"""`hypnogram sleep | nap | sleeps`: begins sleeps, follows them and prints their reports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.memories.sleep_report import TRIGGERS
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_table, print_text
from service.cli.policy_options import set_policy

if TYPE_CHECKING:
    from hypnogram.v1 import sleep_pb2

    from hypnogram.client import Client

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Show progress until it has ended.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**53 - 1, help="Random seed. Default: the memory's version.")]
RequestId = Annotated[str, typer.Option(help="Id of the request; repeating it begins nothing twice.")]
Probes = Annotated[
    int | None, typer.Option(min=1, max=options.LARGEST, help="Number of probes of each kind for a fact.")
]
Controls = Annotated[
    int | None, typer.Option(min=1, max=options.LARGEST, help="Number of controls of each kind in an audit.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Value of the policy, as in --set training.batch=8 or --set gate=0.9; may be given several times.",
    ),
]


def sleep(
    *,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate of the adapter.")] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, max=options.LARGEST, help="Rank of the adapter: columns in every module.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=options.LARGEST, help="Training steps, at most.")] = None,
    perplexity_limit: Annotated[
        float | None,
        typer.Option(help="Growth of held-out perplexity above which the sleep is rolled back: 0.02 is 2 %."),
    ] = None,
    probes: Probes = None,
    controls: Controls = None,
    set_: Set = None,
    seed: Seed = None,
    request_id: RequestId = "",
    wait: Wait = True,
    follow: Annotated[bool, typer.Option("--follow", help="Begin nothing: follow the sleep in progress.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Begin nothing: cancel the sleep in progress.")] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Let a memory sleep: audit, refresh, train, gate and rescale, rolled back if it did harm."""
    training = {"learning_rate": learning_rate, "rank": rank, "steps": steps}
    values = {"perplexity_limit": perplexity_limit, "probes": probes, "controls": controls}
    policy = set_policy(values, training, set_ or ())
    asked = bool(policy.ByteSize()) or seed is not None or bool(request_id) or not wait
    if (follow and cancel) or ((follow or cancel) and asked):
        raise UsageProblem(f"{'--cancel' if cancel else '--follow'} begins no sleep: give nothing else beside it")
    name = options.memory_name(memory)
    with connected(address) as client:
        if cancel:
            _cancel(client, name, json)
            return
        begun = (
            _in_progress(client, name) if follow else client.begin_sleep(name, policy, seed=seed, request_id=request_id)
        )
        _finish(client, name, begun, "sleep", wait, json)


def nap(
    *,
    probes: Probes = None,
    controls: Controls = None,
    seed: Seed = None,
    request_id: RequestId = "",
    wait: Wait = True,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Audit every fact of a memory; change nothing."""
    policy = set_policy({"probes": probes, "controls": controls}, {}, ())
    name = options.memory_name(memory)
    with connected(address) as client:
        begun = client.begin_nap(name, policy, seed=seed, request_id=request_id)
        _finish(client, name, begun, "nap", wait, json)


def sleeps(
    *,
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """List the sleeps and naps of a memory, oldest first."""
    with connected(address) as client:
        name = options.memory_name(memory)
        listed = list(client.sleeps(name, options.version(client, name, at, at_version)))
    if json:
        print_json([as_dict(sleep) for sleep in listed])
        return
    rows = (
        (
            sleep.sleep,
            sleep.kind,
            TRIGGERS.get(sleep.trigger, sleep.trigger),
            sleep.began_at.ToJsonString(),
            f"{sleep.began_version}-{sleep.ended_version or ''}",
            ("completed" if sleep.completed else "rolled back") if sleep.ended else "in progress",
            sleep.remark,
        )
        for sleep in listed
    )
    print_table("", ("id", "kind", "begun by", "began", "versions", "outcome", "remark"), rows)


def _in_progress(client: Client, name: str) -> str:
    asleep = client.memory(name).memory.asleep
    if not asleep.sleep:
        raise UsageProblem(f"memory {name!r} is awake: no sleep is in progress; see `hypnogram sleeps`")
    return asleep.sleep


def _cancel(client: Client, name: str, json: bool) -> None:
    answer = client.cancel_sleep(name, _in_progress(client, name))
    if json:
        print_json(as_dict(answer))
        return
    report = answer.report
    if report.completed:
        print_text(f"{report.kind} {report.sleep} had completed already, at version {report.ended_version}")
    else:
        print_text(
            f"{report.kind} {report.sleep} is rolled back; weights {report.weights_after[:12]} are in force again"
        )


def _finish(client: Client, name: str, begun: str, kind: str, wait: bool, json: bool) -> None:
    """Shows a sleep until it has ended, then its report; after an interrupt the sleep itself goes on."""
    if not wait:
        answer = client.sleep_report(name, begun)
        _print(as_dict(answer.report), answer.report, json)
        return
    from service.cli.memories.sleep_display import watching
    from service.terminal.reasons import for_memory

    try:
        with watching(kind, for_memory(client, name), quiet=json) as show:
            report = client.watched(name, begun, show)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"hypnogram: {kind} {begun} goes on; follow it with `hypnogram sleep --follow -m {name}`, or cancel it "
            f"with `hypnogram sleep --cancel -m {name}`\n"
        )
        raise SystemExit(130) from None
    _print(as_dict(report), report, json)


def _print(values: Any, report: sleep_pb2.SleepReport, json: bool) -> None:
    if json:
        print_json(values)
        return
    from service.cli.memories.sleep_report import print_report

    print_report(report)
