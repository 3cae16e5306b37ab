"""Opens the store of a process, which servers, executors and local commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.settings import Settings
from store.artifacts import Artifacts
from store.log.anchor import FOLDER
from store.log.event_log import EventLog
from store.objects import ObjectStorage
from store.state.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Store:
    """The log, the artifacts and the snapshots."""

    log: EventLog
    artifacts: Artifacts
    snapshots: Snapshots


@contextmanager
def open_store(settings: Settings, *, cut_short: bool = False) -> Iterator[Store]:
    """Opens the store that `settings` names, and closes it at the end of the block.

    Args:
        cut_short: whether to open a log that lost acknowledged events; append nothing to it.

    Raises:
        LogCutShort: the log lost acknowledged events.
        InvalidField: the database URL, or that of artifacts, is not valid.
        SchemaMismatch: the database was written by a newer version.
    """
    with EventLog.open(settings.database_url, settings.artifact_folder / FOLDER) as log:
        if log.cut_short and not cut_short:
            raise log.cut_short
        snapshots = Snapshots(settings.snapshot_folder)
        snapshots.remove_unsealed()
        yield Store(log, artifacts_of(settings), snapshots)


def artifacts_of(settings: Settings) -> Artifacts:
    """Returns the artifacts that `settings` name. Raises InvalidField: their URL cannot be used."""
    storage = ObjectStorage(settings.artifact_url) if settings.artifact_url else None
    return Artifacts(settings.artifact_folder, storage)
