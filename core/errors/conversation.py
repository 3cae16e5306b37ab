"""Errors of conversations.

    Refused
    |-- ConversationUnknown      no conversation of that name with this memory
    |-- ConversationGone         its texts are erased, or about to be
    |-- NoUserFacts              the memory does not learn about its user
    `-- AnotherUser              its facts about the user are those of another client

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


class NoUserFacts(Refused):
    reason = "ABOUT_USER"

    def __init__(self) -> None:
        super().__init__(
            "it is about the user, and this memory does not learn about its user; create one with `hypnogram memory "
            "create --about-user`, or give the name of a person instead of 'user'"
        )


class AnotherUser(Refused):
    reason = "ANOTHER_USER"

    def __init__(self) -> None:
        super().__init__(
            "this memory has facts about another user, and learns those about one alone; use a memory of your own, or "
            "give the name of a person instead of 'user'"
        )
