"""`hypnogram sleep | nap | sleeps`: lets a memory sleep and says what came of it."""

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

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended, and show what it does.")]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**53 - 1, help="Of what is drawn at random. Default: the memory's version.")
]
RequestId = Annotated[str, typer.Option(help="Repeat a request safely: the same id begins nothing twice.")]
Probes = Annotated[int | None, typer.Option(min=1, max=options.LARGEST, help="Probes of each kind for a fact.")]
Controls = Annotated[int | None, typer.Option(min=1, max=options.LARGEST, help="Controls of each kind in an audit.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any value of the policy, as in --set training.batch=8 or --set gate=0.9; may be given several times.",
    ),
]


def sleep(
    *,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate of the adapter.")] = None,
    rank: Annotated[
        int | None, typer.Option(min=1, max=options.LARGEST, help="Columns of the adapter in every module.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=options.LARGEST, help="Training steps, at most.")] = None,
    perplexity_limit: Annotated[
        float | None, typer.Option(help="Growth of held-out perplexity beyond which it is undone: 0.02 is 2 %.")
    ] = None,
    probes: Probes = None,
    controls: Controls = None,
    set_: Set = None,
    seed: Seed = None,
    request_id: RequestId = "",
    wait: Wait = True,
    follow: Annotated[bool, typer.Option("--follow", help="Begin nothing: show the one in progress.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Begin nothing: undo the one in progress.")] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Let a memory sleep: audit, refresh, train, gate and rescale, and undo all of it if it did harm."""
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
        found = list(client.sleeps(name, options.version(client, name, at, at_version)))
    if json:
        print_json([as_dict(one) for one in found])
        return
    rows = (
        (
            one.sleep,
            one.kind,
            TRIGGERS.get(one.trigger, one.trigger),
            one.began_at.ToJsonString(),
            f"{one.began_version}-{one.ended_version or ''}",
            ("completed" if one.completed else "rolled back") if one.ended else "in progress",
            one.remark,
        )
        for one in found
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
        print_text(f"{report.kind} {report.sleep} is undone; weights {report.weights_after[:12]} are in force again")


def _finish(client: Client, name: str, begun: str, kind: str, wait: bool, json: bool) -> None:
    """Shows a sleep until it has ended and then its report; what was begun goes on if somebody loses patience."""
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
            f"hypnogram: {kind} {begun} goes on; follow it with `hypnogram sleep --follow -m {name}`, or undo it with "
            f"`hypnogram sleep --cancel -m {name}`\n"
        )
        raise SystemExit(130) from None
    _print(as_dict(report), report, json)


def _print(values: Any, report: sleep_pb2.SleepReport, json: bool) -> None:
    if json:
        print_json(values)
        return
    from service.cli.memories.sleep_report import print_report

    print_report(report)
