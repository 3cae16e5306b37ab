"""Health: the server can be asked, each memory is proven by itself, and nothing ends the watch over either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypnogram.v1 import memories_pb2
from sqlalchemy.exc import OperationalError

from core.ids import MemoryId
from hypnogram.client import new_fact
from service.rpc import health
from service.rpc.health import CHAT, health_name
from service.settings import Settings
from store.log.listing import Listed
from tests.patience import eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.test_unavailable import away

AGAIN = 0.05  # seconds


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", AGAIN)
    monkeypatch.setattr(health, "RETRY_SECONDS", AGAIN)


def serving(server: Running, memory: str) -> bool:
    return server.client.serving(health_name(MemoryId(memory)))


def said(server: Running, memory: str) -> memories_pb2.Readiness:
    return server.client.memory(memory).readiness


def test_one_memory_whose_base_is_away_keeps_neither_the_server_nor_the_others_from_serving(demo: Running) -> None:
    demo.parrot.missing = {"broken"}
    demo.client.create_memory("broken")
    demo.work("broken")
    demo.client.create_memory("whole")
    demo.work("whole")

    eventually(lambda: serving(demo, "whole") and bool(said(demo, "broken").failure))
    assert all(demo.client.serving(name) for name in ("", CHAT))
    assert (serving(demo, DEMO), serving(demo, "broken")) == (True, False)
    assert "no base model of memory 'broken'" in said(demo, "broken").failure
    assert (said(demo, "whole").proven, said(demo, "whole").failure) == (True, "")


def test_a_memory_is_proven_as_soon_as_what_it_lacked_is_there(demo: Running) -> None:
    demo.parrot.missing = {"broken"}
    demo.client.create_memory("broken")
    demo.work("broken")
    eventually(lambda: bool(said(demo, "broken").failure))

    demo.parrot.missing = set()
    eventually(lambda: serving(demo, "broken"))


def test_a_memory_is_not_proven_before_its_statistics_are_prepared(server: Running) -> None:
    server.client.create_memory(DEMO)
    eventually(lambda: server.client.serving(CHAT))
    assert not serving(server, DEMO)

    server.work()
    eventually(lambda: serving(server, DEMO))


def test_the_memory_to_which_something_happened_last_is_proven_first(settings: Settings) -> None:
    with run_server(settings) as server:
        for name in ("zoe", "amy", "mia"):
            server.client.create_memory(name)
        for name in ("mia", "zoe", "amy"):
            server.work(name)

    with run_server(settings) as server:
        eventually(lambda: len(server.parrot.asked_to_be_ready) == 3)
        assert server.parrot.asked_to_be_ready == ["amy", "zoe", "mia"]


def test_memories_that_did_not_change_lately_wait_until_they_are_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given five memories of a server that proves the last one at its start
    monkeypatch.setattr(health, "AT_START", 1)
    names = ["amy", "bob", "cleo", "dan", "eve"]
    with run_server(settings) as server:
        for name in names:
            server.client.create_memory(name)
            server.work(name)

    with run_server(settings) as server:
        asked, readiness = server.parrot.asked_to_be_ready, server.readiness
        eventually(lambda: asked == ["eve"])
        assert readiness.waiting == 4

        # when a chat, a look at the memory, its health or an event asks for one, then that one is proven
        list(server.client.chat("cleo", "hello"))
        eventually(lambda: serving(server, "cleo"))
        eventually(lambda: said(server, "amy").proven)
        eventually(lambda: serving(server, "dan"))
        assert readiness.waiting == 1
        server.client.add_facts("bob", [new_fact("Ann Lind", "lives in", "Oslo")])
        eventually(lambda: len(asked) == 5)

    assert asked == ["eve", "cleo", "amy", "dan", "bob"]


def test_a_deleted_memory_is_not_serving_and_a_new_one_of_its_name_is_proven_anew(demo: Running) -> None:
    eventually(lambda: serving(demo, DEMO))
    demo.client.delete_memory(DEMO)
    eventually(lambda: not serving(demo, DEMO))

    demo.work()
    eventually(lambda: bool(demo.parrot.forgotten))
    assert {memory for memory, _ in demo.parrot.forgotten} == {DEMO}
    demo.client.create_memory(DEMO)
    demo.work()
    eventually(lambda: serving(demo, DEMO))
    assert demo.parrot.asked_to_be_ready == [DEMO, DEMO]


def test_the_watch_over_health_goes_on_when_the_database_is_back(demo: Running) -> None:
    demo.parrot.missing = {"late"}
    demo.client.create_memory("late")
    demo.work("late")
    with away(demo):
        eventually(lambda: not demo.client.serving())
        assert not demo.client.serving("hypnogram.v1.Facts")

    demo.parrot.missing = set()
    eventually(demo.client.serving)
    eventually(lambda: serving(demo, "late"))


def test_the_watch_over_health_survives_any_error_of_the_log(demo: Running) -> None:
    with refusing(demo):
        eventually(lambda: not demo.client.serving(CHAT))

    eventually(lambda: demo.client.serving(CHAT))
    demo.client.create_memory("new")
    demo.work("new")
    eventually(lambda: serving(demo, "new"))


@contextmanager
def refusing(server: Running) -> Iterator[None]:
    def moved(after_position: int) -> list[Listed]:
        raise OperationalError("", None, Exception("away"))

    log = server.store.log
    log.moved = moved  # type: ignore[method-assign]
    try:
        yield
    finally:
        del log.moved
