"""Texts of conversations are kept as long as their memory says; facts stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.decide.commands import CreateMemory, Say
from core.ids import ConversationKey, FactId, MemoryId
from core.remember import Remember
from core.state.memory import Memory
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.executor import reader
from service.executor.reader import Reader
from service.parsing.spacy_parser import shared_parser
from store.clock import days_ago, next_uuid
from tests.patience import eventually
from tests.prepared import CAUSE, Place, state_of

KEEPING, FORGETTING = MemoryId("keeping"), MemoryId("forgetting")


@pytest.fixture
def memories(small: Place) -> dict[MemoryId, int]:
    """Days for which each memory keeps texts."""
    with open_store(small.settings()) as store:
        created = state_of(store).created
        assert created is not None
        states, days = MemoryRepository(store.log, store.snapshots), {KEEPING: 0, FORGETTING: 30}
        for name, keep in days.items():
            command = CreateMemory(memory=name, created=replace(created, keep_texts=keep))
            states.execute(name, lambda _, command=command: command, CAUSE)  # type: ignore[misc]
    return days


def say(states: MemoryRepository, memory: MemoryId, remember: Remember = Remember.OFF) -> Memory:
    key = ConversationKey(FactId(next_uuid()))
    command = Say(memory=memory, conversation="monday", key=key, text="Ann lives in Oslo.", remember=remember)
    return states.execute(memory, lambda _: command, CAUSE)


def in_days(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the reader look at the log `days` later."""
    monkeypatch.setattr(reader, "days_ago", lambda ago: days_ago(ago - days))


def expire(store: Store, states: MemoryRepository) -> None:
    Reader(store.log, states, shared_parser(), after=0).expire()


def test_a_conversation_is_erased_so_many_days_after_its_last_turn(
    small: Place, memories: dict[MemoryId, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(small.settings()) as store:
        states = MemoryRepository(store.log, store.snapshots)
        for memory in memories:
            say(states, memory)

        in_days(29, monkeypatch)
        expire(store, states)
        assert not any(states.current(memory).conversations["monday"].closed for memory in memories)

        in_days(31, monkeypatch)
        with Reader(store.log, states, shared_parser(), after=0):
            eventually(lambda: states.current(FORGETTING).conversations["monday"].erased)
        assert not states.current(KEEPING).conversations["monday"].closed


def test_a_turn_that_is_still_to_be_read_keeps_its_text(
    small: Place, memories: dict[MemoryId, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(small.settings()) as store:
        states = MemoryRepository(store.log, store.snapshots)
        say(states, FORGETTING, Remember.ON)

        in_days(31, monkeypatch)
        expire(store, states)

        assert not states.current(FORGETTING).conversations["monday"].closed
