"""Puts the parts of a process together: the same store for the server, an executor and a local replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.settings import Settings
from store.anchor import FOLDER
from store.artifacts import Artifacts
from store.log import EventLog
from store.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Store:
    """What a memory is kept in."""

    log: EventLog
    artifacts: Artifacts
    snapshots: Snapshots


@contextmanager
def opened(settings: Settings, *, cut_short: bool = False) -> Iterator[Store]:
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


def prepare_torch(settings: Settings) -> None:
    """Gives torch as many threads as the settings allow, and keeps transformers from drawing progress bars."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
