"""`hypnogram lineage | log | replay`: what happened, and the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.output import (
    UsageProblem,
    as_dict,
    connected,
    print_json,
    print_pairs,
    print_table,
    print_text,
    progress,
)

if TYPE_CHECKING:
    from hypnogram.v1 import history_pb2

    from service.settings import Settings


def lineage(
    *,
    fact: Annotated[str, typer.Argument(help="Id of a fact, as `hypnogram fact list` shows it.")],
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Show the life of one fact: every event about it, and what caused each."""
    with connected(address) as client:
        name = options.memory_name(memory)
        answer = client.lineage(name, fact, options.version(client, name, at, at_version))
    if json:
        print_json(as_dict(answer))
        return
    versions = {entry.event.id: entry.event.version for entry in answer.entries}
    rows = (
        (
            entry.event.version,
            entry.event.recorded_at.ToJsonString(),
            entry.event.type,
            ", ".join(f"v{versions[one]}" for one in entry.caused_by),
            entry.summary,
        )
        for entry in answer.entries
    )
    told = answer.fact
    print_table(
        f"{told.subject} {told.relation} {told.object}", ("version", "when", "what", "because of", "in words"), rows
    )


def log(
    *,
    after: Annotated[int, typer.Option(min=0, help="Start after this version.")] = 0,
    until: Annotated[int | None, typer.Option(min=0, help="Stop after this version.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens next.")] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Print the events of a memory, oldest first; with --json one JSON object a line."""
    name = options.memory_name(memory)
    if follow and until is not None:
        raise UsageProblem("--follow has no end: give either --until or --follow")
    with connected(address) as client:
        if not follow:
            for event in client.events(name, after, until):
                _print_event(event, json)
            return
        for news in client.watch(name, after):
            if news.HasField("event"):
                _print_event(news.event, json)
            elif not json:
                print_text(f"-- caught up at version {news.version} --")


def replay(
    *,
    version: Annotated[int | None, typer.Option(min=1, help="Version to rebuild. Default: the newest.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="First check every column of every event, and every artifact.")
    ] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="Let a running server do it. Default: this process, from the database.")
    ] = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    device: options.Device = None,
    threads: options.Threads = None,
    json: options.AsJson = False,
) -> None:
    """Rebuild a memory's weights from its log alone and compare them with the recorded digest."""
    name = options.memory_name(memory)
    if not remote:
        settings = options.settings_there(
            database_url=db,
            artifact_folder=artifacts,
            snapshot_folder=snapshots,
            device=device,
            torch_threads=threads,
        )
        _print_replay(_replay_here(settings, name, version, verify, json), json)
        return
    if verify or any(value is not None for value in (db, artifacts, snapshots, device, threads)):
        raise UsageProblem("--remote leaves the database to the server: drop --verify, --db and what goes with it")
    with connected(address) as client, progress(json) as bar:
        found = client.replay(name, version, lambda at: bar(at.done, at.total, at.step))
    _print_replay(as_dict(found), json)


def _replay_here(settings: Settings, name: str, version: int | None, verify: bool, json: bool) -> dict[str, Any]:
    from service.fields import memory_id
    from service.wiring import opened, prepare_torch

    found: dict[str, Any] = {}
    with opened(settings) as store, progress(json) as bar:
        if verify:
            from core.errors import Damaged
            from store.verify import verify_log

            total = store.log.position()
            report = verify_log(store.log, store.artifacts, lambda at: bar(at, total, "verifying the log"))
            if report.fault:
                raise Damaged(report.fault.message, position=report.fault.position, what=report.fault.what)
            found = {"events_verified": report.events, "artifacts_verified": report.artifacts}
        from service.live import LiveModels

        prepare_torch(settings)
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        rebuilt = models.replay(memory_id(name), version, bar, lambda: False)
    return {
        "version": rebuilt.version,
        "plan_digest": rebuilt.plan_digest,
        "recorded_weights": rebuilt.recorded or "",
        "rebuilt_weights": rebuilt.rebuilt,
        "edits_checked": rebuilt.edits_checked,
        **found,
    }


def _print_replay(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    same = found["recorded_weights"] == found["rebuilt_weights"]
    print_pairs((name.replace("_", " "), value) for name, value in found.items())
    print_text("The rebuilt weights are the recorded ones, bit for bit." if same else "The weights differ.")


def _print_event(event: history_pb2.Event, json: bool) -> None:
    values = as_dict(event)
    if json:
        print_json(values, one_line=True)
    else:
        print_text(
            f"{event.version:>6}  {event.recorded_at.ToJsonString()}  {event.type:<18}  {_in_short(values['payload'])}"
        )


def _in_short(payload: dict[str, Any]) -> str:
    """The plain values of a payload, in one line."""
    said = payload.get("statement") or {}
    values = {name: value for name, value in {**said, **payload}.items() if isinstance(value, (str, int, float))}
    return "  ".join(f"{name}={str(value)[:40]}" for name, value in values.items() if value not in ("", None))[:160]
