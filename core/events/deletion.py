"""What happens when a memory is deleted. See `core/events/` for the rules that all events follow."""

from __future__ import annotations

from dataclasses import dataclass

from core.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDeleted:
    """A client deleted the memory: nothing is read from it or written to it any more.

    Its words and deltas are destroyed afterwards; `MemoryPurged` says when.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPurged:
    """A receipt: what only the deleted memory needed is destroyed. A new memory can be created under its name now.

    Attributes:
        keys: how many data keys were destroyed, and with them the words and columns of as many facts.
        artifacts: deltas that were removed from the artifact folder.
        kept: how many facts keep their words, because a fork of this memory or the memory it was forked from has them.
    """

    keys: int
    artifacts: tuple[Digest, ...]
    kept: int


DeletionEvent = MemoryDeleted | MemoryPurged
