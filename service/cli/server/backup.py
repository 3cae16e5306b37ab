"""`hypnogram backup | restore`: writes everything stored into one file, and restores it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import options
from service.cli.history.export_import import writing
from service.cli.output import print_json, print_pairs
from service.terminal.spinner import waiting

if TYPE_CHECKING:
    from store.archive.backup import BackedUp


def backup(
    *,
    file: Annotated[Path, typer.Argument(help="File to write.")],
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    snapshots: options.SnapshotFolder = None,
    json: options.AsJson = False,
) -> None:
    """Write the database and its artifacts into one new file, even while servers write."""
    settings = options.settings_there(database_url=db, artifact_folder=artifacts, snapshot_folder=snapshots)
    from service.app.store import open_store
    from store.archive.backup import make_backup

    with (
        open_store(settings) as store,
        writing(file),
        waiting("the copy of the database, which is verified", quiet=json),
    ):
        _print(make_backup(file, store.log, store.artifacts), json)


def restore(
    *,
    file: Annotated[Path, typer.Argument(help="File that `hypnogram backup` wrote.")],
    db: options.Database = None,
    artifacts: options.ArtifactFolder = None,
    json: options.AsJson = False,
) -> None:
    """Restore a database and its artifacts from a backup, after every byte was verified: all of it, or nothing."""
    settings = options.settings(database_url=db, artifact_folder=artifacts)
    from store.archive.backup import restore_backup
    from store.objects import ObjectStorage

    with writing(settings.artifact_folder), waiting("every byte to be verified", quiet=json):
        storage = ObjectStorage(settings.artifact_url) if settings.artifact_url else None
        _print(restore_backup(file, settings.database_url, settings.artifact_folder, storage), json)


def _print(backed_up: BackedUp, json: bool) -> None:
    if json:
        print_json(asdict(backed_up))
    else:
        print_pairs({**asdict(backed_up), "size": f"{backed_up.size:,} bytes"}.items())
