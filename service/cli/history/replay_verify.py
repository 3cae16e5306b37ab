"""`hypnogram replay | verify | compact`: proves that weights follow from the log, and reduces adapters to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.output import UsageProblem, as_dict, connected, print_json, print_pairs, print_text
from service.terminal.spinner import progress

if TYPE_CHECKING:
    from core.moments import Moment
    from service.settings import Settings

Remote = Annotated[
    bool,
    typer.Option("--remote", help="Let a running server do the work. Default: this process does, from the database."),
]


def replay(
    *,
    at: options.At = None,
    version: Annotated[
        int | None, typer.Option(min=1, max=options.LAST_VERSION, help="Version to rebuild. Default: the newest.")
    ] = None,
    restore: Annotated[
        str, typer.Option(metavar="NAME", help="Then fork a new memory of that name at this version.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="First verify every column of every event, and every artifact.")
    ] = False,
    remote: Remote = False,
    memory: options.MemoryName = None,
    address: options.Address = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    device: options.Device = None,
    threads: options.Threads = None,
    json: options.AsJson = False,
) -> None:
    """Rebuild a memory's weights from its log alone and compare them with the recorded digests."""
    name, moment = options.memory_name(memory), options.moment(at, version)
    if not remote:
        settings = _settings_here(db, artifacts, snapshots, device, threads)
        _print_replay(_replay_here(settings, name, moment, restore, verify, json), json)
        return
    if verify:
        raise UsageProblem("--verify and --remote: let the server verify with `hypnogram verify --remote`")
    _refuse_here(db, artifacts, snapshots, device, threads)
    with connected(address) as client, progress(json) as bar:
        replayed = client.replay(name, moment, lambda at: bar(at.done, at.total, at.step), restore_as=restore)
    _print_replay(as_dict(replayed), json)


def verify(
    *,
    weights: Annotated[bool, typer.Option("--weights/--no-weights", help="Rebuild the weights as well.")] = True,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="First accept that the log has lost its end, so that it goes on from where it ends now.",
        ),
    ] = False,
    remote: Remote = False,
    address: options.Address = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    device: options.Device = None,
    threads: options.Threads = None,
    json: options.AsJson = False,
) -> None:
    """Verify everything stored of all memories, then rebuild all their weights; name the first fault."""
    if remote:
        if accept_loss:
            raise UsageProblem("--accept-loss and --remote: a server does not start on a log that lost its end")
        _refuse_here(db, artifacts, snapshots, device, threads)
        with connected(address) as client, progress(json) as bar:
            verified = client.verify_log(lambda at: bar(at.done, at.total, at.step), skip_weights=not weights)
        _print_verified({"fault": None, **as_dict(verified)}, json)
        return
    settings = _settings_here(db, artifacts, snapshots, device, threads)
    _print_verified(_verify_here(settings, weights, accept_loss, json), json)


def compact(
    *,
    bound: Annotated[
        float, typer.Option(help="Largest relative change of a module's learned weights. Default: 0.001.")
    ] = 0.0,
    memory: options.MemoryName = None,
    address: options.Address = None,
    json: options.AsJson = False,
) -> None:
    """Replace all adapters in force by one of fewer columns."""
    name = options.memory_name(memory)
    with connected(address) as client:
        answer = client.compact(name, bound)
    if json:
        print_json(as_dict(answer))
        return
    print_text(
        f"{answer.columns_before} columns became {answer.columns_after}, which changed what was learned by "
        f"{answer.change:.2e}; {name} is at version {answer.version}, its weights are {answer.weights_after[:12]}."
    )


def _settings_here(*given: Any) -> Settings:
    names = ("database_url", "artifact_folder", "snapshot_folder", "device", "torch_threads")
    return options.settings_there(**dict(zip(names, given, strict=True)))


def _refuse_here(*given: Any) -> None:
    if any(value is not None for value in given):
        raise UsageProblem("--remote leaves the database to the server: drop --db and the options that go with it")


def _replay_here(
    settings: Settings, name: str, moment: Moment, restore: str, verify: bool, json: bool
) -> dict[str, Any]:
    from core.events import Cause
    from service.app import forks
    from service.app.moments import state_at
    from service.app.repository import MemoryRepository
    from service.app.store import open_store
    from service.rpc.messages.requests import memory_id
    from service.weights.torch_setup import prepare_torch

    memory, verified = memory_id(name), dict[str, Any]()
    new = memory_id(restore, "restore") if restore else None
    with open_store(settings) as store, progress(json) as bar:
        if verify:
            from core.errors.base import Damaged
            from store.log.verify import verify_log

            total = store.log.position()
            report = verify_log(store.log, store.artifacts, lambda at: bar(at, total, "verifying the log"))
            if report.fault:
                raise Damaged(report.fault.message, position=report.fault.position, what=report.fault.what)
            verified = {"events_verified": report.events, "artifacts_verified": report.artifacts}
        states = MemoryRepository(store.log, store.snapshots)
        version = state_at(store.log, states, memory, moment).version
        if new is not None:
            forks.prepare(store, states, new, memory, version)  # refuses before the rebuild takes its time
        from service.weights.live_models import LiveModels

        prepare_torch(settings)
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        rebuilt = models.replay(memory, version, bar, lambda: False)
        if new is not None:
            forks.fork(store, states, new, memory, version, Cause(actor="cli"), settings.conflict_retries)
    return {
        "version": rebuilt.version,
        "plan_digest": rebuilt.plan_digest,
        "recorded_weights": rebuilt.recorded or "",
        "rebuilt_weights": rebuilt.rebuilt,
        "edits_checked": rebuilt.edits_checked,
        "restored_as": restore,
        "erased": rebuilt.erased,
        **verified,
    }


def _verify_here(settings: Settings, weights: bool, accept_loss: bool, json: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from service.app.store import open_store
    from service.app.verification import verify
    from service.weights.live_models import LiveModels
    from service.weights.torch_setup import prepare_torch

    prepare_torch(settings)
    with open_store(settings, cut_short=True) as store, progress(json) as bar:
        if accept_loss and store.log.cut_short:
            store.log.accept_loss()
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        verified = verify(store, models, skip_weights=not weights, progress=bar, cancelled=lambda: False)
    return asdict(verified)


def _print_replay(replayed: dict[str, Any], json: bool) -> None:
    if json:
        print_json(replayed)
        return
    same = replayed["recorded_weights"] == replayed["rebuilt_weights"]
    print_pairs((name.replace("_", " "), value) for name, value in replayed.items() if value != "")
    print_text("The rebuilt weights are the recorded ones, bit for bit." if same else "The weights differ.")


def _print_verified(verified: dict[str, Any], json: bool) -> None:
    fault = verified["fault"]
    if json:
        print_json(verified)
    elif fault:
        from core.errors.base import Damaged

        raise Damaged(fault["message"], position=fault["position"], what=fault["what"])
    else:
        print_pairs((name, value) for name, value in verified.items() if name != "fault")
        print_text("Everything is as it was written.")
    if fault:
        raise SystemExit(1)
