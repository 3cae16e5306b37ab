"""The versions that a memory has had: 1 to the newest."""

from __future__ import annotations

from core.errors.base import VersionUnknown
from core.ids import MemoryId


def check_version(memory: MemoryId, version: int, newest: int) -> None:
    """Raises VersionUnknown where `memory`, which is at version `newest`, never had that version."""
    if not 1 <= version <= newest:
        raise VersionUnknown(memory, version, newest)
