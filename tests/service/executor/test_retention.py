"""Texts of conversations are kept as long as their memory says; facts stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from core.decide.commands import CreateMemory, DeleteMemory, Say
from core.errors.base import Damaged
from core.ids import ConversationKey, FactId, MemoryId
from core.remember import Remember
from core.state.memory import Memory
from service.app.forks import fork
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.executor import reader
from service.executor.reader import Reader
from service.parsing.spacy_parser import shared_parser
from store import clock
from store.clock import days_ago, next_uuid
from tests.patience import eventually
from tests.prepared import CAUSE, Place, state_of

KEEPING, FORGETTING, FORK = MemoryId("keeping"), MemoryId("forgetting"), MemoryId("fork")


@pytest.fixture
def store(small: Place) -> Iterator[Store]:
    with open_store(small.settings()) as opened:
        yield opened


@pytest.fixture
def states(store: Store) -> MemoryRepository:
    """The memories `keeping`, which keeps texts, and `forgetting`, which keeps them for 30 days."""
    states = MemoryRepository(store.log, store.snapshots)
    create(store, states, KEEPING, 0)
    create(store, states, FORGETTING, 30)
    return states


def create(store: Store, states: MemoryRepository, memory: MemoryId, keep: int) -> None:
    created = state_of(store).created
    assert created is not None
    states.record(memory, CreateMemory(memory=memory, created=replace(created, keep_texts=keep)), CAUSE)


def say(states: MemoryRepository, memory: MemoryId, remember: Remember = Remember.OFF) -> Memory:
    key = ConversationKey(FactId(next_uuid()))
    command = Say(memory=memory, conversation="monday", key=key, text="Ann lives in Oslo.", remember=remember)
    return states.record(memory, command, CAUSE)


def in_days(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the reader look at the log, and turns be recorded, `days` later."""
    monkeypatch.setattr(reader, "days_ago", lambda ago: days_ago(ago - days))
    monkeypatch.setattr(clock, "now", lambda: days_ago(-days))


def reader_of(store: Store, states: MemoryRepository, after: int | None = 0) -> Reader:
    return Reader(store.log, states, shared_parser(), after)


def is_closed(states: MemoryRepository, memory: MemoryId) -> bool:
    return states.current(memory).conversations["monday"].closed > 0


def test_a_conversation_is_erased_so_many_days_after_its_last_turn(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, KEEPING)
    say(states, FORGETTING)

    in_days(29, monkeypatch)
    reader_of(store, states).expire()
    assert not is_closed(states, FORGETTING)

    in_days(31, monkeypatch)
    with reader_of(store, states, after=None):  # which sees what its own first expiry closes
        eventually(lambda: states.current(FORGETTING).conversations["monday"].erased)
    assert not is_closed(states, KEEPING)


def test_a_turn_that_is_still_to_be_read_keeps_its_text(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, FORGETTING, Remember.ON)

    in_days(31, monkeypatch)
    reader_of(store, states).expire()

    assert not is_closed(states, FORGETTING)


@pytest.mark.parametrize(("goes_on", "rests"), [(FORGETTING, FORK), (FORK, FORGETTING)])
def test_a_conversation_that_a_fork_shares_is_kept_after_the_last_turn_of_either(
    goes_on: MemoryId, rests: MemoryId, store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, FORGETTING)
    fork(store, states, FORK, FORGETTING, None, CAUSE, 1)
    in_days(20, monkeypatch)
    say(states, goes_on)

    in_days(31, monkeypatch)  # since the first turn
    reader_of(store, states).expire()
    assert not is_closed(states, goes_on)
    assert not is_closed(states, rests)

    in_days(51, monkeypatch)
    with reader_of(store, states):
        eventually(lambda: is_closed(states, goes_on) and is_closed(states, rests))


@pytest.mark.parametrize("to_read", [FORGETTING, FORK])
def test_a_turn_that_either_is_still_to_read_keeps_the_texts_that_a_fork_shares(
    to_read: MemoryId, store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, FORGETTING)
    fork(store, states, FORK, FORGETTING, None, CAUSE, 1)
    say(states, to_read, Remember.ON)

    in_days(31, monkeypatch)
    reader_of(store, states).expire()

    assert not is_closed(states, FORGETTING)
    assert not is_closed(states, FORK)


def test_a_fork_of_a_deleted_memory_erases_what_it_has_of_it(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, FORGETTING)
    fork(store, states, FORK, FORGETTING, None, CAUSE, 1)
    states.record(FORGETTING, DeleteMemory(memory=FORGETTING), CAUSE)

    in_days(31, monkeypatch)
    reader_of(store, states).expire()

    assert is_closed(states, FORK)


def test_only_memories_with_something_to_erase_are_folded(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = MemoryId("young")
    create(store, states, young, 60)
    for memory in (KEEPING, FORGETTING, young):
        say(states, memory)
    in_days(31, monkeypatch)
    folded: list[MemoryId] = []
    current = states.current

    def noted(memory: MemoryId) -> Memory:
        folded.append(memory)
        return current(memory)

    monkeypatch.setattr(states, "current", noted)
    reader_of(store, states).expire()

    assert {*folded} == {FORGETTING}


@pytest.mark.parametrize("trouble", [Damaged("event 7 cannot be read"), "huge"])
def test_trouble_with_a_memory_does_not_keep_the_texts_of_others(
    trouble: Damaged | str, store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled = MemoryId("a-troubled-one")  # whose turn comes first
    create(store, states, troubled, 1_000_000 if trouble == "huge" else 30)
    for memory in (troubled, FORGETTING):
        say(states, memory)
    in_days(31, monkeypatch)
    current = states.current

    def damaged(memory: MemoryId) -> Memory:
        if memory == troubled and isinstance(trouble, Damaged):
            raise trouble
        return current(memory)

    monkeypatch.setattr(states, "current", damaged)
    reader_of(store, states).expire()

    assert is_closed(states, FORGETTING)


def test_a_database_that_is_away_is_asked_again(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(states, FORGETTING)
    in_days(31, monkeypatch)
    relatives, fails = store.log.relatives, [OperationalError("SELECT", {}, Exception("away"))]

    def away(memory: MemoryId) -> list[MemoryId]:
        if fails:
            raise fails.pop()
        return relatives(memory)

    monkeypatch.setattr(store.log, "relatives", away)
    with reader_of(store, states):
        eventually(lambda: is_closed(states, FORGETTING))

    assert not fails


def test_what_is_said_while_texts_expire_is_read(
    store: Store, states: MemoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring = reader_of(store, states, after=None)
    monkeypatch.setattr(expiring, "expire", lambda: say(states, KEEPING, Remember.ON))

    with expiring:
        eventually(lambda: "monday" in states.current(KEEPING).conversations and not states.current(KEEPING).unread)
