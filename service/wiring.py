"""Puts the parts of a process together: the same store for the server, an executor and a local replay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from store.snapshots import Snapshots

from service.settings import Settings
from store.artifacts import Artifacts
from store.log import EventLog


@dataclass(frozen=True, slots=True)
class Store:
    """What a memory is kept in."""

    log: EventLog
    artifacts: Artifacts
    snapshots: Snapshots


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store that `settings` names, closed at the end.

    Raises:
        InvalidField: the database URL is none.
        SchemaMismatch: the database was written by a newer version.
    """
    with EventLog.open(settings.database_url) as log:
        yield Store(log, Artifacts(settings.artifact_folder), Snapshots(settings.snapshot_folder))


def limit_torch(settings: Settings) -> None:
    """Gives torch as many threads as the settings allow; imports it."""
    if settings.torch_threads:
        import torch

        torch.set_num_threads(settings.torch_threads)
