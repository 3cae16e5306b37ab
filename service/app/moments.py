"""Moments in the history of a memory: a version, a checkpoint, or a time, which means its newest version then."""

from __future__ import annotations

from datetime import UTC

from core.errors.history import CheckpointUnknown, MomentUnknown
from core.ids import MemoryId
from core.moments import Moment
from core.state.memory import Memory
from core.state.version import check_version
from service.app.repository import MemoryRepository
from store.log.event_log import EventLog


def state_at(log: EventLog, states: MemoryRepository, memory: MemoryId, moment: Moment) -> Memory:
    """Returns the state of `memory` at `moment`. Blocking.

    Raises:
        MemoryUnknown, VersionUnknown, CheckpointUnknown: there is no such memory, version or checkpoint.
        MomentUnknown: the time is before its first event.
    """
    current = states.current(memory)
    return states.at(memory, _version(log, current, memory, moment))


def _version(log: EventLog, current: Memory, memory: MemoryId, moment: Moment) -> int:
    if moment is None:
        return current.version
    if isinstance(moment, int):
        check_version(memory, moment, current.version)
        return moment
    if isinstance(moment, str):
        if moment not in current.checkpoints:
            raise CheckpointUnknown(memory, moment)
        return current.checkpoints[moment].version
    time = moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    version = log.version_at(memory, time)
    if not version:
        raise MomentUnknown(memory, time, log.read(memory=memory, limit=1)[0].recorded_at)
    return version
