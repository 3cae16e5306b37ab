"""Conversations over the wire: recorded turn by turn, listed, and erased."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import pytest
from hypnogram.v1 import chat_pb2

from core.ids import MemoryId
from hypnogram.client import CallFailed
from service.executor.pulse import Pulse
from service.executor.reader import Reader
from service.parsing.spacy_parser import shared_parser
from store.database.executors import Executors
from tests.patience import eventually
from tests.service.conftest import DEMO, Running

SECRET = "the heron in the attic"
SLOW = 0.05


@contextmanager
def reader(server: Running) -> Iterator[None]:
    """A process that reads turns and erases texts, as an executor does."""
    log = server.store.log
    with Pulse(Executors(log.engine), "test"), Reader(log, server.states, shared_parser(), after=0):
        yield


def said(server: Running, conversation: str = "monday") -> list[tuple[int, str, str]]:
    return [(turn.turn, turn.role, turn.text) for turn in server.client.turns(DEMO, conversation)]


def test_a_chat_without_a_conversation_leaves_no_trace(demo: Running) -> None:
    before = demo.store.log.position()
    pieces = list(demo.client.chat(DEMO, SECRET))

    assert demo.store.log.position() == before
    assert {(piece.conversation, piece.turn) for piece in pieces} == {("", 0)}


def test_turns_are_recorded_and_listed_with_the_weights_that_answered(demo: Running) -> None:
    for text in ("hello there", "and again"):
        pieces = list(demo.client.chat(DEMO, text, conversation="monday"))

    assert {(piece.conversation, piece.turn) for piece in pieces} == {("monday", 3)}
    assert said(demo) == [
        (1, "user", "hello there"),
        (2, "assistant", "hello there "),
        (3, "user", "and again"),
        (4, "assistant", "and again "),
    ]
    answers = [turn for turn in demo.client.turns(DEMO, "monday") if turn.role == "assistant"]
    assert [(turn.to, turn.complete) for turn in answers] == [(1, True), (3, True)]
    assert {(turn.weights_version, turn.weights_digest) for turn in answers} == {(1, pieces[0].weights_digest)}
    assert {turn.remember for turn in demo.client.turns(DEMO, "monday") if turn.role == "user"} == {
        chat_pb2.REMEMBER_OFF
    }
    assert [(one.conversation, one.turns) for one in demo.client.conversations(DEMO)] == [("monday", 4)]


def test_a_turn_is_durable_before_the_reply_to_it_begins(demo: Running) -> None:
    demo.parrot.broken = RuntimeError("the model is gone")
    with pytest.raises(CallFailed):
        list(demo.client.chat(DEMO, "is anybody there", conversation="monday"))

    assert said(demo) == [(1, "user", "is anybody there")]


def test_a_reply_that_is_cut_off_is_recorded_as_far_as_it_went(demo: Running) -> None:
    demo.parrot.slow = SLOW
    answer = demo.client.chat(DEMO, "word " * 500, max_tokens=500, conversation="monday")
    list(islice(answer, 2))
    answer.close()

    eventually(lambda: len(said(demo)) == 2)
    (_, reply) = demo.client.turns(DEMO, "monday")
    assert not reply.complete
    assert reply.text.startswith("word word ")
    assert len(reply.text) < len("word " * 500)


def test_pages_fit_together(demo: Running) -> None:
    for number in range(3):
        list(demo.client.chat(DEMO, f"number {number}", conversation="monday"))
    request = chat_pb2.ListTurnsRequest(memory=DEMO, conversation="monday", page_size=4)
    first = demo.client.call(demo.client.stubs.chat.ListTurns, request, 60)
    request.page_token = first.next_page_token
    second = demo.client.call(demo.client.stubs.chat.ListTurns, request, 60)

    assert [turn.turn for turn in (*first.turns, *second.turns)] == [1, 2, 3, 4, 5, 6]
    assert not second.next_page_token


def test_erased_texts_cannot_be_read_any_more(demo: Running) -> None:
    list(demo.client.chat(DEMO, SECRET, conversation="monday"))
    list(demo.client.chat(DEMO, "something else", conversation="tuesday"))
    with reader(demo):
        answer = demo.client.erase_conversation(DEMO, "monday", wait=True)

    assert answer.conversation.erased
    assert [text for _, _, text in said(demo)] == ["", ""]
    assert [text for _, _, text in said(demo, "tuesday")] == ["something else", "something else "]
    events = [recorded.event for recorded in demo.store.log.read(memory=MemoryId(DEMO))]
    assert SECRET not in repr(events)
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, "once more", conversation="monday"))
    assert failure.value.reason == "CONVERSATION_ERASED"


def test_a_deleted_memory_takes_its_conversations_along(demo: Running) -> None:
    list(demo.client.chat(DEMO, SECRET, conversation="monday"))
    demo.client.delete_memory(DEMO)
    demo.work()

    assert demo.client.delete_memory(DEMO).purged


def test_what_is_not_there_is_named(demo: Running) -> None:
    for call in (
        lambda: list(demo.client.turns(DEMO, "sunday")),
        lambda: demo.client.erase_conversation(DEMO, "sunday"),
    ):
        with pytest.raises(CallFailed) as failure:
            call()
        assert failure.value.reason == "CONVERSATION_UNKNOWN"
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, "hello", conversation="a\nb"))
    assert failure.value.reason == "INVALID_FIELD"
    assert "conversation" in failure.value.fields
