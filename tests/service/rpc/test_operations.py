"""Operations: what runs longer than a call, to its end, past a stop, and until it is forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from hypnogram.v1.history_pb2 import ReplayMetadata, ReplayRequest

from hypnogram.client.calls.operations import finished
from hypnogram.client.connections import Access, Blocking
from service.guard.rights import Caller
from service.rpc.interceptor import _caller
from service.rpc.operations import FINISHED_KEPT, Operations
from service.rpc.status import OperationUnknown, ShuttingDown
from tests.patience import eventually
from tests.service.conftest import DEMO, Running

DONE = ReplayMetadata()
NO_CONTEXT: Any = None
ANY = operations_pb2.GetOperationRequest


async def nobody() -> None: ...


async def at_once(report: Callable[[Message], None]) -> Message:
    return DONE


@pytest.fixture(autouse=True)
def _somebody_calls() -> Iterator[None]:
    """The operations are called directly, as if an open door had let the caller in."""
    before = _caller.set(Caller("here"))
    yield
    _caller.reset(before)


def test_an_operation_that_just_ended_is_known_however_many_ended_before() -> None:
    async def scenario() -> bool:
        operations, gate = Operations(2), asyncio.Event()

        async def night(report: Callable[[Message], None]) -> Message:
            await gate.wait()
            return DONE

        name = operations.follow("night", night, nobody, DONE).name
        first = operations.follow("0", at_once, nobody, DONE).name
        for number in range(1, FINISHED_KEPT + 1):
            operations.follow(f"{number}", at_once, nobody, DONE)
        await asyncio.sleep(0)
        gate.set()
        await operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name), NO_CONTEXT)
        with pytest.raises(OperationUnknown):  # the one that ended first makes room
            await operations.GetOperation(ANY(name=first), NO_CONTEXT)
        return (await operations.GetOperation(ANY(name=name), NO_CONTEXT)).done

    assert asyncio.run(scenario())


def test_nothing_begins_once_the_server_is_stopping() -> None:
    async def scenario() -> bool:
        operations, began = Operations(2), threading.Event()

        def work(report: Callable[[Message], None], cancelled: Callable[[], bool]) -> Message:
            began.set()
            return DONE

        await operations.stop()
        with pytest.raises(ShuttingDown):
            operations.start(work, DONE)
        with pytest.raises(ShuttingDown):
            operations.follow("night", at_once, nobody, DONE)
        await asyncio.sleep(0.05)
        return began.is_set()

    assert not asyncio.run(scenario())


def test_a_deleted_operation_is_forgotten_once_it_has_ended(demo: Running) -> None:
    demo.parrot.replay_until = threading.Event()
    stub = demo.client.stubs.operations
    name = demo.client.stubs.history.Replay(ReplayRequest(memory=DEMO)).name

    def known() -> bool:
        try:
            return bool(stub.GetOperation(ANY(name=name)).name)
        except grpc.RpcError as failure:
            return failure.code() != grpc.StatusCode.NOT_FOUND

    stub.DeleteOperation(operations_pb2.DeleteOperationRequest(name=name))
    assert known()  # deleting cancels nothing
    demo.parrot.replay_until.set()
    eventually(lambda: not known())


def test_an_interrupted_wait_says_so_even_where_the_operation_cannot_be_cancelled() -> None:
    def interrupted(_: ReplayMetadata) -> None:
        raise KeyboardInterrupt

    pending = operations_pb2.Operation(name="operations/mine")
    connection = Blocking("127.0.0.1:1", Access("test"))  # where no server listens
    with pytest.raises(KeyboardInterrupt):
        connection.run(finished(connection, pending, ReplayMetadata, interrupted, ReplayMetadata()))
    connection.channel.close()
