"""`decide` for the deletion of a memory. Pure; see `core/decide/`."""

from __future__ import annotations

from core.decide.commands import Command, CreateMemory, DeleteMemory, ExecutorCommand, RecordFailure, RecordPurge
from core.errors.base import MemoryGone, MemoryUnknown, NotReady, StaleWork
from core.events import Event
from core.events.deletion import MemoryDeleted
from core.state.memory import Memory
from core.state.work import Purge, still_owed


def check_not_deleted(memory: Memory, command: Command) -> None:
    """Refuses every command to a deleted memory except those that end its deletion or create a new one afterwards.

    Raises:
        MemoryGone: a client sends another command.
        NotReady: a client creates a memory of the same name before the deleted words are destroyed.
        StaleWork: an executor records a result from before the deletion.
    """
    if not memory.deleted:
        return
    match command:
        case DeleteMemory() | RecordPurge() | RecordFailure(work=Purge()):
            return
        case CreateMemory():
            if not memory.purged:
                raise NotReady("the words of a deleted memory of this name are not destroyed yet; try again later")
        case _ if isinstance(command, ExecutorCommand):
            raise StaleWork("the memory was deleted")
        case _:
            raise MemoryGone(memory.deleted)


def delete(memory: Memory, command: DeleteMemory) -> tuple[Event, ...]:
    """Deletes the memory, which also ends its sleep and its pending work; does nothing if it is deleted already.

    Raises MemoryUnknown.
    """
    if memory.created is None:
        raise MemoryUnknown(command.memory)
    return () if memory.deleted else (MemoryDeleted(),)


def record_purge(memory: Memory, command: RecordPurge) -> tuple[Event, ...]:
    """Records that the words and deltas of the deleted memory are destroyed. Raises StaleWork."""
    if not still_owed(memory, command.work):
        raise StaleWork("the memory is purged already")
    return (command.purged,)
