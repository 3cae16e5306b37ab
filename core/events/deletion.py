"""Events of the deletion of a memory. See `core/events/` for the rules of all events."""

from __future__ import annotations

from dataclasses import dataclass

from core.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDeleted:
    """A client deleted the memory: it can no longer be read or changed.

    An executor destroys its words and deltas afterwards and records `MemoryPurged`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPurged:
    """Everything that only the deleted memory needed is destroyed. Its name can now be given to a new memory.

    Attributes:
        keys: number of data keys destroyed, each with the words and columns of a fact or the texts of a conversation.
        artifacts: deltas that were removed from the artifact folder.
        kept: number of facts that keep their words, because a fork of the memory or its parent shares them.
    """

    keys: int
    artifacts: tuple[Digest, ...]
    kept: int


DeletionEvent = MemoryDeleted | MemoryPurged
