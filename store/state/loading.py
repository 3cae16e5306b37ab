"""The state of a memory at any version, folded from the log with the help of snapshots."""

from __future__ import annotations

from core.errors.base import MemoryUnknown, VersionUnknown
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.state.memory import NOTHING, Memory
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots

PAGE = 1000  # events read at once
EVERY = 1000  # events between snapshots


def load_state(log: EventLog, snapshots: Snapshots, memory: MemoryId, version: int | None = None) -> Memory:
    """The state of `memory` at `version`, by default the current one. May save a snapshot.

    Raises:
        MemoryUnknown: the log holds no such memory.
        VersionUnknown: the memory never had that version.
    """
    current = log.head(memory)
    if not current:
        raise MemoryUnknown(memory)
    wanted = current if version is None else version
    if not 1 <= wanted <= current:
        raise VersionUnknown(memory, wanted, current)
    folded, last = _trusted(log, snapshots, memory, wanted)
    due = wanted - folded.version >= EVERY
    while folded.version < wanted:
        page = log.read(memory=memory, after_version=folded.version, limit=min(PAGE, wanted - folded.version))
        folded = fold((recorded.event for recorded in page), onto=folded)
        last = page[-1].hash
    if due:
        snapshots.save(memory, folded, last, log.keyring.keys)
    return folded


def _trusted(log: EventLog, snapshots: Snapshots, memory: MemoryId, version: int) -> tuple[Memory, Digest]:
    """The newest snapshot that fits the log, and its event's hash; nothing folded yet if there is none.

    A fork was what its ancestors were, so it begins with their snapshots where it has none.
    """
    for segment in reversed(log.ancestry(memory)):
        while found := snapshots.load(segment.memory, segment.last(version), log.keyring.keys):
            folded, last = found
            recorded = log.read(memory=memory, after_version=folded.version - 1, limit=1)
            if recorded and recorded[0].hash == last:
                return folded, last
            snapshots.remove(segment.memory, folded.version)
    return NOTHING, Digest("")
