"""Purges a memory that was deleted: destroys the data keys of its facts and conversations, and removes its deltas."""

from __future__ import annotations

from core.decide.commands import RecordPurge
from core.errors.base import NotReady
from core.events.deletion import MemoryPurged
from core.ids import MemoryId
from core.state.work import Purge
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.purging import doomed
from store.sealing.destroy_key import throw_keys_away
from store.state.snapshots import Snapshots


def purge_memory(
    log: EventLog, artifacts: Artifacts, snapshots: Snapshots, memory: MemoryId, work: Purge
) -> RecordPurge:
    """Destroys what only `memory` has, and returns the receipt. Idempotent, so that a killed purge is done again.

    Raises:
        NotReady: a reader keeps keys in the files of the database, or a fork was made meanwhile; try again.
    """
    sharing = log.relatives(memory)

    def check() -> None:
        if log.relatives(memory) != sharing:
            raise NotReady("a memory that may share facts was forked or deleted meanwhile; it is tried again")

    alone = doomed(log, memory)
    throw_keys_away(log.engine, alone.keys, check)
    snapshots.remove_all(memory)
    for delta in alone.deltas:
        artifacts.remove(delta)
    purged = MemoryPurged(keys=len(alone.keys), artifacts=alone.deltas, kept=alone.kept)
    return RecordPurge(work=work, purged=purged)
