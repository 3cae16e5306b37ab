"""`AsyncClient` on a real server: the same results as `Client`, and a cancelled task ends its call."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import aclosing

import pytest
from google.longrunning import operations_pb2

from hypnogram.client import AsyncClient, CallFailed, Client, new_fact
from hypnogram.client.methods import Items, Method
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running


async def test_pages_answers_and_waits_are_those_of_the_blocking_client(demo: Running) -> None:
    async with AsyncClient(demo.address) as client:
        assert await client.up(PATIENCE)
        added = await client.add_facts(DEMO, [new_fact(f"Aria {n}", "lives in", "Lisbon") for n in range(3)])
        events = [event.version async for event in client.events(DEMO)]
        pieces = [piece.text async for piece in client.chat(DEMO, "say it again")]
        report = await client.replay(DEMO)

        assert [fact.fact async for fact in client.facts(DEMO)] == [result.fact.fact for result in added.results]
        assert events == [event.version for event in demo.client.events(DEMO)]
        assert "".join(pieces) == "".join(piece.text for piece in demo.client.chat(DEMO, "say it again"))
        assert report.version == added.version


async def test_failures_say_what_the_server_said(demo: Running) -> None:
    async with AsyncClient(demo.address) as client:
        with pytest.raises(CallFailed) as unknown:
            await client.memory("nowhere")
        with pytest.raises(CallFailed) as invalid:
            _ = [fact async for fact in client.facts("")]

    assert (unknown.value.code, unknown.value.reason) == ("NOT_FOUND", "MEMORY_UNKNOWN")
    assert list(invalid.value.fields) == ["memory"]


async def test_the_model_stops_when_an_answer_is_closed(demo: Running) -> None:
    demo.parrot.slow = 0.01
    async with AsyncClient(demo.address) as client:
        async with aclosing(client.chat(DEMO, "word " * 1000, max_tokens=1000)) as pieces:
            await anext(pieces)
        assert await asyncio.to_thread(demo.parrot.closed.wait, PATIENCE)

    assert demo.parrot.generated < 1000


async def test_a_cancelled_task_cancels_the_replay_it_waits_for(demo: Running) -> None:
    demo.parrot.replay_until = threading.Event()
    running = operations_pb2.ListOperationsRequest()
    async with AsyncClient(demo.address) as client:
        seen = asyncio.Event()
        task = asyncio.create_task(client.replay(DEMO, progress=lambda _: seen.set()))
        await asyncio.wait_for(seen.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def ended() -> bool:
        return all(operation.done for operation in demo.client.stubs.operations.ListOperations(running).operations)

    await asyncio.to_thread(eventually, ended)


async def test_no_server_is_a_failure_and_not_serving() -> None:
    async with AsyncClient("127.0.0.1:1") as client:
        assert not await client.serving()
        with pytest.raises(CallFailed) as failure:
            await client.memory(DEMO)

    assert failure.value.code == "UNAVAILABLE"


def test_methods_have_the_signatures_and_docstrings_of_their_functions() -> None:
    with Client("127.0.0.1:1") as client:
        methods = {name for name in dir(Client) if isinstance(getattr(Client, name), Method | Items)}
        assert len(methods) > 30
        for name in methods:
            assert inspect.getdoc(getattr(client, name)), name
        assert list(inspect.signature(client.fact).parameters)[:3] == ["memory", "fact", "at_version"]
