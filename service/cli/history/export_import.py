"""`hypnogram export | import | report`: writes a memory into files, and reads an archive back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import options
from service.cli.output import UsageProblem, print_json, print_pairs, print_text
from service.terminal.spinner import waiting

if TYPE_CHECKING:
    from core.ids import MemoryId
    from core.state.memory import Memory
    from service.app.store import Store
    from service.settings import Settings
    from store.archive.exporting import Archived

KINDS = ("adapter", "merged", "archive")


def export(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER-OR-FILE", help="Path to write: a file for an archive, a folder for the other kinds."
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            help="adapter (a LoRA adapter for stock peft), merged (a Hugging Face model) or archive "
            "(the memory itself).",
        ),
    ],
    at: options.At = None,
    at_version: options.AtVersion = None,
    memory: options.MemoryName = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    json: options.AsJson = False,
) -> None:
    """Write a memory at one version into new files: its weights for stock tools, or the whole memory as an archive."""
    if kind not in KINDS:
        raise UsageProblem(f"--as {kind}: give adapter, merged or archive")
    settings = options.settings_there(database_url=db, artifact_folder=artifacts, snapshot_folder=snapshots)
    from service.app.moments import state_at
    from service.app.repository import MemoryRepository
    from service.app.store import open_store
    from service.rpc.messages.requests import memory_id

    name = memory_id(options.memory_name(memory))
    with (
        open_store(settings) as store,
        waiting(f"the {kind} to be written: weights, or artifacts, are read", quiet=json),
    ):
        state = state_at(store.log, MemoryRepository(store.log, store.snapshots), name, options.moment(at, at_version))
        if kind == "archive":
            written = _archived(path, store, name, state)
        else:
            written = _weights_written(kind, path, store, settings, name, state)
    _print({"kind": kind, "path": str(path), **written}, json)
    if kind == "adapter" and not json and state.created:
        base = state.created.base
        revision = f" (revision {base.revision})" if base.revision else ""
        print_text(f"Stock peft loads it on {base.name}{revision}, loaded in {base.dtype}.")


def import_(
    *,
    archive: Annotated[Path, typer.Argument(help="Archive that `hypnogram export --as archive` wrote.")],
    memory: Annotated[
        str | None, typer.Option("--memory", "-m", help="Name of the new memory. Default: the name in the archive.")
    ] = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    json: options.AsJson = False,
) -> None:
    """Import an archive as a memory of this database, after every byte of it was verified: all of it, or nothing."""
    settings = options.settings(database_url=db, artifact_folder=artifacts, snapshot_folder=snapshots)
    from service.app.store import open_store
    from service.rpc.messages.requests import memory_id
    from store.archive.importing import import_archive, verify_archive

    name = None if memory is None else memory_id(memory)
    if not options.is_there(settings):
        with waiting("every byte of the archive to be verified", quiet=json):
            verify_archive(archive)  # first, so that a refused archive leaves no empty database behind
    with open_store(settings) as store, waiting("the archive to be verified and copied", quiet=json):
        imported = import_archive(archive, store.log, store.artifacts, name)
    _print(_about(imported), json)


def report(
    *,
    file: Annotated[Path | None, typer.Argument(help="File to write. Default: hypnogram-MEMORY.html.")] = None,
    at: options.At = None,
    at_version: options.AtVersion = None,
    fact: Annotated[
        str | None, typer.Option(help="Fact whose lineage to draw. Default: the fact at the deepest stage.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    memory: options.MemoryName = None,
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
) -> None:
    """Draw a memory's history as one HTML file without network access: stages, audits, capacity, facts, one lineage."""
    settings = options.settings_there(database_url=db, artifact_folder=artifacts, snapshot_folder=snapshots)
    from service.app.lineage import lineage
    from service.app.moments import state_at
    from service.app.repository import MemoryRepository
    from service.app.store import open_store
    from service.report import most_lived
    from service.report import report as drawn
    from service.rpc.messages.requests import fact_id, memory_id

    name = memory_id(options.memory_name(memory))
    path = file or Path(f"hypnogram-{name}.html")
    with open_store(settings) as store, waiting("the events to be read and drawn"):
        moment = options.moment(at, at_version)
        version = state_at(store.log, MemoryRepository(store.log, store.snapshots), name, moment).version
        _refuse_taken(path, force)
        events = list(store.log.iterate(name, until_version=version))
        chosen = most_lived(events) if fact is None else fact_id(fact)
        links = lineage(store.log, name, chosen, version) if chosen else ()
    _write(path, drawn(events, fact=chosen, links=links), force)
    print_text(str(path))


def _archived(path: Path, store: Store, name: MemoryId, state: Memory) -> dict[str, Any]:
    from core.state.plan import plan
    from store.archive.exporting import export_archive

    with writing(path):
        archived = export_archive(path, store.log, store.artifacts, name, state.version)
    return {**_about(archived), "plan_digest": plan(state).digest}


def _weights_written(
    kind: str, path: Path, store: Store, settings: Settings, name: MemoryId, state: Memory
) -> dict[str, Any]:
    from core.errors.archive import ExportExists
    from service.weights.base_models import BaseModels
    from service.weights.delta_store import DeltaStore
    from service.weights.exporting import export_weights
    from service.weights.torch_setup import prepare_torch

    if os.path.lexists(path):
        raise ExportExists(path)  # before a model is loaded
    prepare_torch(settings)
    bases, deltas = BaseModels(settings.device), DeltaStore(store.artifacts, store.log.keyring)
    with writing(path):
        exported = export_weights(kind, path, name, state, bases, deltas)
    return {
        "memory": exported.origin.memory,
        "version": exported.origin.version,
        **({} if exported.rank is None else {"rank": exported.rank}),
        "size": exported.size,
        "weights_digest": exported.origin.weights,
        "plan_digest": exported.origin.plan,
    }


def _about(archived: Archived) -> dict[str, Any]:
    return {
        "memory": archived.memory,
        "version": archived.version,
        "facts": archived.facts,
        "erased": archived.erased,
        "artifacts": archived.artifacts,
        "size": archived.size,
        "weights_digest": archived.weights or "",
    }


def _print(written: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(written)
        return
    shown = {**written, "size": f"{written['size']:,} bytes", "weights_digest": written["weights_digest"] or "none yet"}
    print_pairs((name.replace("_", " "), value) for name, value in shown.items())


def _refuse_taken(path: Path, force: bool) -> None:
    from core.errors.base import InvalidField

    if not force and os.path.lexists(path):
        raise InvalidField("file", f"{str(path)!r} exists already; choose another name, or replace it with --force")


def _write(path: Path, html: str, force: bool) -> None:
    """Writes the whole page, or nothing."""
    made = path.with_name(f".{path.name}-{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.write_text(html, encoding="utf-8")
            _refuse_taken(path, force)  # it may have appeared meanwhile
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError in the block into an InvalidField that names the path and the reason."""
    from core.errors.base import InvalidField

    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidField(
            "path", f"{str(error.filename or path)!r} cannot be written: {why}; choose another place"
        ) from None
