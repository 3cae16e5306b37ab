"""The log has a line for each call that ended, also for one that its client or the server cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from hypnogram.v1 import chat_pb2, facts_pb2, memories_pb2

from hypnogram.client import Client
from service.settings import Settings
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server

Ended = Callable[[], list[dict[str, Any]]]
CHAT = chat_pb2.ChatRequest(memory=DEMO, messages=[chat_pb2.Message(role="user", content="think hard")])
WAITING = facts_pb2.AddFactsRequest(
    memory=DEMO,
    request_id="waits",
    facts=[facts_pb2.NewFact(subject="Aria Voss", relation="lives in", object="Lisbon")],
    wait=facts_pb2.WAIT_INJECTED,
)


def of_call(ended: Ended, name: str) -> list[tuple[str, str]]:
    """How the calls of a method ended, each with its reason."""
    return [(line["code"], line.get("reason", "")) for line in ended() if line["call"].endswith(f"/{name}")]


@pytest.mark.parametrize("after", [0, 1], ids=["before its first word", "after it"])
@pytest.mark.parametrize("stops", [False, True], ids=["by its client", "by the server"])
def test_an_answer_that_is_cut_off_is_in_the_log(demo: Running, ended: Ended, after: int, stops: bool) -> None:
    demo.parrot.think_after = after
    enough = demo.parrot.think_until = threading.Event()
    try:
        call = demo.client.stubs.chat.Chat(CHAT)
        eventually(lambda: demo.parrot.thinking)
        if stops:
            demo.stop()
        else:
            call.cancel()
        with pytest.raises(grpc.RpcError):
            list(call)
        eventually(lambda: of_call(ended, "Chat"))
    finally:
        enough.set()

    assert of_call(ended, "Chat") == [("UNAVAILABLE", "SHUTTING_DOWN") if stops else ("CANCELLED", "")]


@pytest.mark.parametrize("stops", [False, True], ids=["by its client", "by the server"])
def test_a_wait_that_is_cut_off_is_in_the_log(demo: Running, ended: Ended, stops: bool) -> None:
    before = demo.client.memory(DEMO).version
    call = demo.client.stubs.facts.AddFacts.future(WAITING)
    eventually(lambda: demo.client.memory(DEMO).version > before)

    if stops:
        demo.stop()
    else:
        call.cancel()

    eventually(lambda: of_call(ended, "AddFacts"))
    assert of_call(ended, "AddFacts") == [("UNAVAILABLE", "SHUTTING_DOWN") if stops else ("CANCELLED", "")]


@pytest.mark.parametrize("stops", [False, True], ids=["by its client", "by the server"])
def test_a_call_that_is_cut_off_before_it_is_let_in_is_in_the_log(
    settings: Settings, ended: Ended, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, enough = threading.Event(), threading.Event()

    def find(tokens: Tokens, text: str) -> None:
        looks.set()
        enough.wait()

    monkeypatch.setattr(Tokens, "find", find)
    with (
        run_server(settings.model_copy(update={"require_tokens": True})) as running,
        Client(running.address) as client,
        ThreadPoolExecutor() as threads,
    ):
        try:
            call = client.stubs.memories.GetMemory.future(
                memories_pb2.GetMemoryRequest(memory=DEMO), metadata=(("authorization", "Bearer hyp_any"),)
            )
            assert looks.wait(PATIENCE)
            if stops:
                stopped = threads.submit(running.stop)
            else:
                call.cancel()
            eventually(lambda: of_call(ended, "GetMemory"))
        finally:
            enough.set()
        if stops:
            stopped.result(PATIENCE)

    assert of_call(ended, "GetMemory") == [("UNAVAILABLE", "SHUTTING_DOWN") if stops else ("CANCELLED", "")]
