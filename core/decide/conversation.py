"""`decide` for the turns of conversations and their erasure. Pure; see `core/decide/`."""

from __future__ import annotations

from core.decide.commands import CloseConversation, RecordFailure, RecordReply, RecordTextsErased, Say
from core.errors.base import InvalidField, MemoryUnknown, StaleWork
from core.errors.conversation import ConversationGone, ConversationUnknown
from core.events import Event
from core.events.conversation import ConversationClosed, ConversationErased, ModelReplied, TurnRead, UserSpoke
from core.events.facts import WorkFailed
from core.events.history import FactRetracted
from core.ids import Digest, MemoryId
from core.state.conversations import Conversation
from core.state.memory import Memory
from core.state.work import EraseTexts, Read, still_owed

MAX_NAME = 128  # characters


def check_conversation(name: str) -> None:
    """Raises InvalidField for a name that no conversation can have."""
    if not name:
        raise InvalidField("conversation", "is empty; give its name")
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidField("conversation", f"is not printable text of at most {MAX_NAME} characters; give a UUID")


def known_conversation(memory: Memory, of: MemoryId, name: str) -> Conversation:
    """Returns that conversation. Raises MemoryUnknown or ConversationUnknown."""
    if memory.created is None:
        raise MemoryUnknown(of)
    if name not in memory.conversations:
        raise ConversationUnknown(of, name)
    return memory.conversations[name]


def say(memory: Memory, command: Say) -> tuple[Event, ...]:
    """Records what a user said, which begins a conversation where there is none of that name.

    Raises InvalidField, MemoryUnknown or ConversationGone.
    """
    check_conversation(command.conversation)
    if memory.created is None:
        raise MemoryUnknown(command.memory)
    known = memory.conversations.get(command.conversation)
    if known is not None and known.closed:
        raise ConversationGone(command.conversation, known.closed)
    return (
        UserSpoke(
            conversation=command.conversation,
            turn=known.turns + 1 if known else 1,
            key=known.key if known else command.key,
            text=command.text,
            remember=command.remember,
        ),
    )


def record_reply(memory: Memory, command: RecordReply) -> tuple[Event, ...]:
    """Records what the model replied; nothing in a conversation closed meanwhile. Raises ConversationUnknown."""
    known = known_conversation(memory, command.memory, command.conversation)
    if known.closed:
        return ()
    return (
        ModelReplied(
            conversation=command.conversation,
            turn=known.turns + 1,
            key=known.key,
            to=command.to,
            text=command.text,
            version=command.version,
            weights=command.weights,
            complete=command.complete,
        ),
    )


def close(memory: Memory, command: CloseConversation) -> tuple[Event, ...]:
    """Closes a conversation, whose texts an executor then erases; with `facts`, erases what was learned from it too.

    Does nothing where it is closed and leaves no fact to erase, or where it has gone on since turn `command.last`.

    Raises MemoryUnknown or ConversationUnknown.
    """
    known = known_conversation(memory, command.memory, command.conversation)
    unread = any(turn.conversation == command.conversation for turn in memory.unread)
    if command.last is not None and (known.turns != command.last or unread):
        return ()
    erased = _erased_with_it(memory, command.conversation) if command.facts else ()
    if known.closed and not erased:
        return ()
    return (ConversationClosed(conversation=command.conversation, key=known.key), *erased)


def record_texts_erased(memory: Memory, command: RecordTextsErased) -> tuple[Event, ...]:
    """Records that the data key of a conversation is destroyed. Raises StaleWork."""
    if not still_owed(memory, command.work):
        raise StaleWork("the conversation is erased already")
    return (ConversationErased(conversation=command.work.conversation, key=command.work.key),)


def failed(memory: Memory, command: RecordFailure, work: Read | EraseTexts, *, final: bool) -> tuple[Event, ...]:
    """Records a failed attempt; a turn is given up after the last one, an erasure never. Raises StaleWork."""
    if not still_owed(memory, work):
        raise StaleWork("the turn is read already, or its conversation was erased")
    given_up = final and isinstance(work, Read)
    event = WorkFailed(
        work=work.name,
        facts=(),
        attempt=work.attempt,
        reason=command.reason,
        message=command.message,
        parked=given_up,
    )
    if not given_up:
        return (event,)
    key = memory.conversations[work.conversation].key
    assert isinstance(work, Read)
    return (event, TurnRead(conversation=work.conversation, turn=work.turn, key=key, failure=command.message))


def _erased_with_it(memory: Memory, conversation: str) -> tuple[FactRetracted, ...]:
    """Returns a retraction for each fact with that source, whose words are to be destroyed."""
    return tuple(
        FactRetracted(fact=fact, reason="", erase=True, request="", request_digest=Digest(""))
        for fact, state in memory.facts.items()
        if state.source.conversation == conversation and not state.erased and fact not in memory.pending_erasure
    )
