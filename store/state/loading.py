"""Loads the state of a memory: the one place where states are folded from the log, with the help of snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from core.events import Event, Recorded
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.state.memory import NOTHING, Memory
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots

EVERY = 1000  # events between snapshots


def load_state(log: EventLog, snapshots: Snapshots, memory: MemoryId, version: int | None = None) -> Memory:
    """Returns the state of `memory` at `version`, by default the newest. May save a snapshot.

    Raises:
        MemoryUnknown: the log holds no such memory.
        VersionUnknown: the memory never had that version.
    """
    wanted = log.existing_version(memory, version)
    snapshot, at_hash = _trusted(log, snapshots, memory, wanted)
    state, last = _advanced(log, memory, snapshot, wanted)
    if wanted - snapshot.version >= EVERY:
        snapshots.save(memory, state, last or at_hash, log.keyring.keys)
    return state


def advance(log: EventLog, memory: MemoryId, state: Memory) -> Memory:
    """Returns the newest state of `memory`, folded onto an older one that this process has kept."""
    return _advanced(log, memory, state, None)[0]


def _advanced(log: EventLog, memory: MemoryId, state: Memory, version: int | None) -> tuple[Memory, Digest | None]:
    """Folds the events after `state` up to `version`; returns the hash of the last one, None where there is none."""
    recorded = log.iterate(memory, after_version=state.version, until_version=version)
    last = first = next(recorded, None)
    if first is None:
        return state, None

    def news(first: Recorded) -> Iterator[Event]:
        nonlocal last
        for last in chain((first,), recorded):
            yield last.event

    state = fold(news(first), onto=state)  # in one go, because each fold copies what the state holds
    return state, last.hash if last else None


def _trusted(log: EventLog, snapshots: Snapshots, memory: MemoryId, version: int) -> tuple[Memory, Digest]:
    """Returns the newest snapshot that fits the log, and the hash of its last event; `NOTHING` where there is none.

    A fork may begin with a snapshot of an ancestor, because it shares the events up to there.
    """
    for segment in reversed(log.ancestry(memory)):
        while snapshot := snapshots.load(segment.memory, segment.last(version), log.keyring.keys):
            state, at_hash = snapshot
            recorded = log.read(memory=memory, after_version=state.version - 1, limit=1)
            if recorded and recorded[0].hash == at_hash:
                return state, at_hash
            snapshots.remove(segment.memory, state.version)
    return NOTHING, Digest("")
