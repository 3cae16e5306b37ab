"""A store that is out of reach is UNAVAILABLE to whoever calls, says when to try again, and is back by itself."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypnogram.v1 import memories_pb2

from hypnogram.client import CallFailed, Client, new_fact
from service.rpc import log_tail
from service.rpc.status import DETAILS_KEY, RETRY_SECONDS
from tests.patience import PATIENCE
from tests.service.conftest import DEMO, Running

READS: dict[str, Callable[[Client], object]] = {
    "GetMemory": lambda client: client.memory(DEMO),
    "ListMemories": lambda client: list(client.memories()),
    "ListFacts": lambda client: list(client.facts(DEMO)),
    "Chat": lambda client: list(client.chat(DEMO, "Hello")),
    "Watch": lambda client: next(client.watch(DEMO)),
    "Replay": lambda client: client.replay(DEMO),
}


@contextmanager
def away(server: Running) -> Iterator[None]:
    """The database cannot be opened any more, and no connection is open but the writer's."""
    database = Path(server.settings.database_url.removeprefix("sqlite:///"))
    hidden = database.with_suffix(".hidden")
    database.rename(hidden)
    database.mkdir()
    server.store.log.engine.dispose()
    try:
        yield
    finally:
        database.rmdir()
        hidden.rename(database)
        server.store.log.engine.dispose()


@contextmanager
def full(server: Running) -> Iterator[None]:
    """The writer finds no room for one page more."""
    run = server.store.log._writer._session._connection.execute
    run(f"PRAGMA max_page_count = {run('PRAGMA page_count').fetchone()[0]}")
    try:
        yield
    finally:
        run("PRAGMA max_page_count = 1000000")


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_what_reads_is_unavailable_while_the_database_is_away_and_answers_when_it_is_back(
    demo: Running, call: Callable[[Client], object]
) -> None:
    with away(demo), pytest.raises(CallFailed) as failure:
        call(demo.client)
    assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")

    call(demo.client)


def test_what_writes_is_unavailable_while_the_disk_is_full_and_can_be_repeated(demo: Running) -> None:
    facts = [new_fact(f"Aria Number{number}", "lives in", "Lisbon") for number in range(200)]
    with full(demo), pytest.raises(CallFailed) as failure:
        demo.client.add_facts(DEMO, facts, request_id="once")
    assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
    assert "same request id" in failure.value.message
    assert list(demo.client.facts(DEMO)) == []  # all or none

    assert len(demo.client.add_facts(DEMO, facts, request_id="once").results) == 200


def test_a_disk_that_fails_below_a_model_is_unavailable(demo: Running) -> None:
    demo.parrot.broken = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(CallFailed) as failure:
        list(demo.client.chat(DEMO, "Hello"))

    assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")


def test_a_client_is_told_when_to_try_again(demo: Running) -> None:
    with away(demo), pytest.raises(grpc.RpcError) as failure:
        Client(demo.address).stubs.memories.GetMemory(memories_pb2.GetMemoryRequest(memory=DEMO))

    error: Any = failure.value
    metadata = dict(error.trailing_metadata())
    status, retry = status_pb2.Status.FromString(metadata[DETAILS_KEY]), error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == RETRY_SECONDS


def test_whatever_goes_wrong_where_news_are_awaited_those_who_wait_are_told(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "RETRY_SECONDS", 0.01)
    awaited, failed = demo.store.log.wait, threading.Event()

    def wait(after_position: int, timeout: float, stop: threading.Event) -> int:
        if failed.is_set():
            return awaited(after_position, timeout, stop)
        failed.set()
        raise ValueError("nobody thought of that")

    monkeypatch.setattr(demo.store.log, "wait", wait)
    version = demo.client.add_facts(DEMO, [new_fact("Aria Voss", "lives in", "Lisbon")]).version
    assert failed.wait(PATIENCE), "whoever waits for news waits again after these"
    with ThreadPoolExecutor(1) as threads:  # asks once the fact is written, and hears of that by the log alone
        asked = threads.submit(lambda: list(demo.client.chat(DEMO, "Hello", min_version=version, timeout=PATIENCE)))
        demo.work()
        assert asked.result()
