"""`decide` for the deletion of a memory. Pure; see `core/decide/`."""

from __future__ import annotations

from core.decide.commands import Command, CreateMemory, DeleteMemory, ExecutorCommand, RecordFailure, RecordPurge
from core.errors.base import MemoryGone, MemoryUnknown, NotReady, StaleWork
from core.events import Event
from core.events.deletion import MemoryDeleted
from core.state.memory import Memory
from core.state.work import Purge, still_owed


def check_not_deleted(memory: Memory, command: Command) -> None:
    """Lets nothing happen to a deleted memory but the end of its deletion, and a new memory of its name after that.

    Raises:
        MemoryGone: a client asks for something else.
        NotReady: a memory of its name is to be created before its words are destroyed.
        StaleWork: an executor brings a result from before.
    """
    if not memory.deleted:
        return
    match command:
        case DeleteMemory() | RecordPurge() | RecordFailure(work=Purge()):
            return
        case CreateMemory():
            if not memory.purged:
                raise NotReady("an executor is yet to destroy the words of a memory that had the name; try again then")
        case _ if isinstance(command, ExecutorCommand):
            raise StaleWork("the memory was deleted")
        case _:
            raise MemoryGone(memory.deleted)


def delete(memory: Memory, command: DeleteMemory) -> tuple[Event, ...]:
    """A sleep in progress and all that is owed end with the memory. Deleting it again changes nothing.

    Raises MemoryUnknown.
    """
    if memory.created is None:
        raise MemoryUnknown(command.memory)
    return () if memory.deleted else (MemoryDeleted(),)


def record_purge(memory: Memory, command: RecordPurge) -> tuple[Event, ...]:
    if not still_owed(memory, command.work):
        raise StaleWork("the memory is purged already")
    return (command.purged,)
