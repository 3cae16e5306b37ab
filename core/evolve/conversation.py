"""`evolve` for conversations. Pure; see `core/evolve/`."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from core.events.conversation import (
    ConversationClosed,
    ConversationErased,
    ConversationEvent,
    ModelReplied,
    TurnRead,
    UserSpoke,
)
from core.evolve.draft import Draft
from core.remember import Remember
from core.state.conversations import Conversation, UnreadTurn


def apply_to_conversation(draft: Draft, event: ConversationEvent) -> None:
    """Applies one event of `core/events/conversation.py` to the draft."""
    match event:
        case UserSpoke():
            _turned(draft, event)
            if event.remember is not Remember.OFF:
                unread = UnreadTurn(
                    conversation=event.conversation, turn=event.turn, version=draft.version, remember=event.remember
                )
                draft.unread = (*draft.unread, unread)
        case ModelReplied():
            _turned(draft, event)
        case TurnRead():
            draft.said_again(event.known)
            draft.unread = tuple(
                turn for turn in draft.unread if (turn.conversation, turn.turn) != (event.conversation, event.turn)
            )
        case ConversationClosed():
            known = draft.conversations[event.conversation]
            if not known.closed:
                draft.conversations[event.conversation] = replace(known, closed=draft.version)
                draft.unread = tuple(turn for turn in draft.unread if turn.conversation != event.conversation)
                draft.closing = (*draft.closing, event.conversation)
        case ConversationErased():
            known = draft.conversations[event.conversation]
            draft.conversations[event.conversation] = replace(known, erased=True)
            draft.closing = tuple(name for name in draft.closing if name != event.conversation)
        case _:
            assert_never(event)


def reading_failed(draft: Draft, attempt: int) -> None:
    """Counts a failed attempt to read the first unread turn."""
    first, *later = draft.unread
    draft.unread = (replace(first, failures=attempt), *later)


def erasing_failed(draft: Draft, attempt: int) -> None:
    """Counts a failed attempt to erase the first closed conversation."""
    name = draft.closing[0]
    draft.conversations[name] = replace(draft.conversations[name], failures=attempt)


def _turned(draft: Draft, event: UserSpoke | ModelReplied) -> None:
    """Counts a turn; the first one begins the conversation."""
    known = draft.conversations.get(event.conversation) or Conversation(key=event.key, began=draft.version)
    draft.conversations[event.conversation] = replace(known, turns=event.turn)
