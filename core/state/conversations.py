"""What the state of a memory holds of conversations: no texts, these are in the log."""

from __future__ import annotations

from dataclasses import dataclass

from core.ids import ConversationKey
from core.remember import Remember


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation with a memory.

    Attributes:
        key: id of the data key that seals its texts.
        began: version of its first turn.
        turns: number of its turns, replies included.
        closed: version at which a client asked to have it erased; 0 for none.
        erased: whether its data key is destroyed.
        failures: number of failed attempts to destroy it.
    """

    key: ConversationKey
    began: int
    turns: int = 0
    closed: int = 0
    erased: bool = False
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadTurn:
    """A turn of a user that is to be read for facts.

    Attributes:
        version: version of its event, which holds its text.
        failures: number of failed attempts to read it.
    """

    conversation: str
    turn: int
    version: int
    remember: Remember
    failures: int = 0
