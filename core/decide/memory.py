"""`decide` for the beginning of a memory: its creation and its statistics. Pure; see `core/decide/`."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import CreateMemory, RecordStatistics
from core.errors.base import MemoryExists, StaleWork
from core.events import Event
from core.events.memory import MemoryCreated
from core.state.memory import Memory


def create_memory(memory: Memory, command: CreateMemory) -> tuple[Event, ...]:
    """Creates the memory; does nothing if it exists with the same settings. Raises MemoryExists."""
    if memory.created is None or memory.purged:
        return (command.created,)
    if memory.created == _as_recorded_then(command.created, memory.created):
        return ()
    raise MemoryExists(command.memory)


def record_statistics(memory: Memory, command: RecordStatistics) -> tuple[Event, ...]:
    """Records the statistics of the base model. Raises StaleWork if the memory already has them."""
    if memory.statistics is not None:
        raise StaleWork("its statistics are prepared already")
    return (command.prepared,)


def _as_recorded_then(new: MemoryCreated, old: MemoryCreated) -> MemoryCreated:
    """Returns `new` as the version of hypnogram that recorded `old` would have recorded it.

    What that version did not record must not make two memories with the same settings differ.
    """
    if new.base.digest_rule == old.base.digest_rule:
        return new
    base = replace(new.base, digest=old.base.digest, digest_rule=old.base.digest_rule)
    return replace(new, base=base, keys_per_fact=old.keys_per_fact)
