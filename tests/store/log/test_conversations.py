"""The log says which conversations have gone on when, and which memories erase their texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.events.conversation import UserSpoke
from core.ids import ConversationKey, FactId
from core.remember import Remember
from store import clock
from store.clock import days_ago, next_uuid
from store.log.conversations import LastTurn, days_kept, last_turns
from store.log.event_log import EventLog
from store.log.rows import NewEvent
from tests.core.samples import CREATED
from tests.store.given import DEMO, OTHER, new, throw_key_away, told


def key() -> ConversationKey:
    return ConversationKey(FactId(next_uuid()))


def spoke(of: ConversationKey, turn: int = 1) -> NewEvent:
    return new(UserSpoke(conversation="monday", turn=turn, key=of, text="Hello!", remember=Remember.OFF))


def test_the_last_turn_of_a_conversation_is_the_last_in_any_memory_and_none_once_its_texts_are_erased(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, erased = key(), key()
    log.append(OTHER, [spoke(shared), spoke(erased)], expected=0)
    later = days_ago(-20)
    monkeypatch.setattr(clock, "now", lambda: later)
    log.append(DEMO, [told(), spoke(shared, 2)], expected=0)  # as a fork does that has the conversation too
    throw_key_away(log, FactId(erased))

    assert last_turns(log) == {shared: LastTurn(DEMO, later)}


def test_memories_that_erase_texts_are_those_that_were_created_to(log: EventLog) -> None:
    log.append(DEMO, [new(replace(CREATED, keep_texts=60)), new(replace(CREATED, keep_texts=7))], expected=0)
    log.append(OTHER, [new(replace(CREATED, keep_texts=0))], expected=0)

    assert days_kept(log) == {DEMO: 7}
