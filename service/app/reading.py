"""Reads turns of conversations for facts, and erases the texts of conversations."""

from __future__ import annotations

from dataclasses import replace

from core.decide.commands import CloseConversation, Command, Heard, RecordReading, RecordTextsErased
from core.decide.held import taught_before
from core.decide.told import noted, stated
from core.english.taking_back import corrects, forgotten, taken_back
from core.errors.base import NotReady
from core.events import Cause
from core.events.conversation import TurnRead, UserSpoke
from core.extraction.extract import extract
from core.extraction.passages import passages
from core.extraction.phrases.acts import takes_back
from core.extraction.words import Parser
from core.facts import Source
from core.ids import FactId, MemoryId
from core.state.memory import Memory
from core.state.work import EraseTexts, Read
from service.app.repository import EXECUTOR, MemoryRepository
from store.clock import next_uuid
from store.log.conversations import readings_of
from store.log.event_log import EventLog
from store.sealing.destroy_key import throw_key_away


def read_turn(log: EventLog, parser: Parser, memory: MemoryId, state: Memory, work: Read) -> RecordReading:
    """Returns what the turn of `work` may state, for `decide` to judge. Raises ParserUnavailable."""
    assert state.created is not None
    (recorded,) = log.read(memory=memory, after_version=work.version - 1, limit=1)
    assert isinstance(recorded.event, UserSpoke), f"version {work.version} is not a turn of a user"
    text = recorded.event.text
    source = Source(client=recorded.cause.actor, conversation=work.conversation, turn=work.turn)
    phrasebook, unquoted = state.created.phrasebook, passages(text).own(text)
    candidates = extract(text, parser)
    facts = ((candidate.start, candidate.end) for candidate in candidates if candidate.accepted or candidate.may_end)
    span = taken_back(unquoted) or takes_back(unquoted, facts, parser)
    return RecordReading(
        work=work,
        client=source.client,
        said=recorded.id,
        heard=tuple(
            Heard(
                candidate=candidate,
                words=text[candidate.start : candidate.end],
                new=stated(candidate, noted(text, candidate, source), phrasebook, FactId(next_uuid()))
                if candidate.accepted or candidate.may_end
                else None,
            )
            for candidate in candidates
        ),
        taken_back=text[slice(*span)] if span else "",
        taken_back_at=span[0] if span else 0,
        forgotten=tuple(forgotten(unquoted)),
        corrects=corrects(unquoted),
        spare=tuple(FactId(next_uuid()) for _ in taught_before(state, work)) if span else (),
    )


def cause_of(command: Command) -> Cause:
    """Returns the cause of what an executor records: of what a turn states, the turn."""
    return replace(EXECUTOR, causation=command.said) if isinstance(command, RecordReading) else EXECUTOR


def turns_that_state(log: EventLog, memory: MemoryId, state: Memory, fact: FactId) -> dict[str, list[int]]:
    """Returns the turns that taught or said `fact` and whose texts are there, by the names of their conversations."""
    stating: dict[str, list[int]] = {}
    for name, known in state.conversations.items():
        for read in () if known.closed else readings_of(log, memory, known.key, known.began - 1, state.version):
            if isinstance(read.event, TurnRead) and fact in (*read.event.facts, *read.event.known):
                stating.setdefault(name, []).append(read.event.turn)
    return stating


def erase_texts(log: EventLog, states: MemoryRepository, memory: MemoryId, work: EraseTexts) -> RecordTextsErased:
    """Destroys the data key of a conversation, and returns what to record. Idempotent.

    Memories that share the conversation, because one was forked from the other, lose its texts too: it is closed there.

    Raises:
        NotReady: the key could not be wiped from the database yet, or a fork was made meanwhile.
    """
    sharing = log.relatives(memory)
    for relative in sharing:
        known = states.current(relative).conversations.get(work.conversation)
        if known is not None and known.key == work.key and not known.closed:
            states.record(relative, CloseConversation(memory=relative, conversation=work.conversation, facts=False))

    def check() -> None:
        if log.relatives(memory) != sharing:
            raise NotReady("a memory that may share the conversation was forked meanwhile; it is tried again")

    throw_key_away(log.engine, work.key, check)
    return RecordTextsErased(work=work)
