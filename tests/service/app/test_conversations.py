"""Erasing the texts of conversations: nothing that shares them keeps them, and everything still verifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.decide.commands import CloseConversation, Say
from core.events.conversation import UserSpoke
from core.ids import ConversationKey, FactId, MemoryId
from core.remember import Remember
from core.state.work import EraseTexts
from service.app.forks import fork
from service.app.reading import erase_texts
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from store.archive.exporting import export_archive
from store.archive.importing import import_archive
from store.clock import next_uuid
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.prepared import CAUSE, DEMO, Place

TRIAL = MemoryId("trial")


@pytest.fixture
def store(small: Place) -> Iterator[Store]:
    with open_store(small.settings()) as opened:
        yield opened


@pytest.fixture
def states(store: Store) -> MemoryRepository:
    return MemoryRepository(store.log, store.snapshots)


def say(states: MemoryRepository, text: str, conversation: str) -> None:
    key = ConversationKey(FactId(next_uuid()))
    said = Say(memory=DEMO, conversation=conversation, key=key, text=text, remember=Remember.ON)
    states.record(DEMO, said, CAUSE)


def erase(store: Store, states: MemoryRepository, conversation: str) -> None:
    closing = CloseConversation(memory=DEMO, conversation=conversation, facts=False)
    states.record(DEMO, closing, CAUSE)
    key = states.current(DEMO).conversations[conversation].key
    done = erase_texts(store.log, states, DEMO, EraseTexts(conversation=conversation, key=key, attempt=1))
    states.record(DEMO, done)


def texts(log: EventLog, memory: MemoryId = DEMO) -> list[str]:
    events = [recorded.event for recorded in log.read(memory=memory)]
    return [event.text for event in events if isinstance(event, UserSpoke)]


def test_a_fork_loses_the_texts_that_it_shares_and_reads_them_no_more(store: Store, states: MemoryRepository) -> None:
    say(states, "keep this", "monday")
    say(states, "but not this", "tuesday")
    fork(store, states, TRIAL, DEMO, None, CAUSE, 1)

    erase(store, states, "tuesday")

    assert texts(store.log) == texts(store.log, TRIAL) == ["keep this", ""]
    assert [turn.conversation for turn in states.current(TRIAL).unread] == ["monday"]
    assert verify_log(store.log, store.artifacts).fault is None


def test_conversations_travel_with_their_memory_and_erased_ones_do_not(
    store: Store, states: MemoryRepository, tmp_path: Path
) -> None:
    say(states, "keep this", "monday")
    say(states, "but not this", "tuesday")
    erase(store, states, "tuesday")

    archived = export_archive(tmp_path / "demo.tar", store.log, store.artifacts, DEMO)
    with EventLog.open(f"sqlite:///{tmp_path}/elsewhere.db") as there:
        arrived = import_archive(tmp_path / "demo.tar", there, store.artifacts)
        assert texts(there) == ["keep this", ""]

    assert (archived.facts, archived.erased) == (arrived.facts, arrived.erased) == (0, 0)
    assert b"but not this" not in (tmp_path / "demo.tar").read_bytes()
