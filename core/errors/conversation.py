"""Errors of conversations.

    Refused
    |-- ConversationUnknown      no conversation of that name with this memory
    `-- ConversationGone         its texts are erased, or about to be

See `core/errors/` for the rest of the tree.
"""

from __future__ import annotations

from core.errors.base import Refused


class ConversationUnknown(Refused):
    reason = "CONVERSATION_UNKNOWN"

    def __init__(self, memory: str, conversation: str) -> None:
        super().__init__(
            f"memory {memory!r} has no conversation {conversation!r}; list its conversations",
            memory=memory,
            conversation=conversation,
        )


class ConversationGone(Refused):
    reason = "CONVERSATION_ERASED"

    def __init__(self, conversation: str, version: int) -> None:
        super().__init__(
            f"a client had conversation {conversation!r} erased at version {version}; begin another",
            conversation=conversation,
            version=version,
        )
