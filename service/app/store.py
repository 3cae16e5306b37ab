"""Puts the parts of a process together: the same store for the server, an executor and a local replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.settings import Settings
from store.artifacts import Artifacts
from store.log.anchor import FOLDER
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Store:
    """What a memory is kept in."""

    log: EventLog
    artifacts: Artifacts
    snapshots: Snapshots


@contextmanager
def open_store(settings: Settings, *, cut_short: bool = False) -> Iterator[Store]:
    """The store that `settings` names, closed at the end.

    Args:
        cut_short: opens a log, too, that lost events which were acknowledged; append nothing to it.

    Raises:
        LogCutShort: the log lost events which were acknowledged.
        InvalidField: the database URL is none.
        SchemaMismatch: the database was written by a newer version.
    """
    with EventLog.open(settings.database_url, settings.artifact_folder / FOLDER) as log:
        if log.cut_short and not cut_short:
            raise log.cut_short
        snapshots = Snapshots(settings.snapshot_folder)
        snapshots.remove_unsealed()
        yield Store(log, Artifacts(settings.artifact_folder), snapshots)
