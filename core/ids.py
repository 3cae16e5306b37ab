"""Identifiers. Events, facts, edits, adapters and sleeps have UUIDv7 ids, so that ids sort by time of creation."""

from __future__ import annotations

import re
from typing import NewType

MemoryId = NewType("MemoryId", str)
FactId = NewType("FactId", str)
EditId = NewType("EditId", str)
AdapterId = NewType("AdapterId", str)
SleepId = NewType("SleepId", str)
EventId = NewType("EventId", str)
ConversationKey = NewType("ConversationKey", FactId)  # of its data key, which the store keeps as those of facts
Digest = NewType("Digest", str)  # lower-case hexadecimal SHA-256

MEMORY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
CHECKPOINT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def uuid7(milliseconds: int, randomness: bytes) -> str:
    """Returns a UUID version 7 (RFC 9562, section 5.7).

    Args:
        milliseconds: Unix time in milliseconds.
        randomness: 10 bytes, of which 74 bits are used.
    """
    if len(randomness) != 10:
        raise ValueError(f"randomness has {len(randomness)} bytes, not 10")
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(randomness)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
