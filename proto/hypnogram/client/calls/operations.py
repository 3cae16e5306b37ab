"""Waits for long-running operations of a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from hypnogram.client.connections import Connection
from hypnogram.client.errors import CallFailed
from hypnogram.client.failures import failure_of

WAIT_SECONDS = 1  # per question how far an operation is

T = TypeVar("T")
M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


async def finished(
    connection: Connection,
    operation: operations_pb2.Operation,
    metadata: type[M],
    progress: Callable[[M], None],
    response: R,
) -> R:
    """The response of `operation`, once it has ended; a wait that is given up cancels it."""
    operations = connection.stubs.operations
    wait = operations_pb2.WaitOperationRequest(name=operation.name, timeout=Duration(seconds=WAIT_SECONDS))
    try:
        while not operation.done:
            progress(unpacked(operation.metadata, metadata()))
            operation = await connection.call(operations.WaitOperation, wait, 60)
    except BaseException:
        cancel = operations_pb2.CancelOperationRequest(name=operation.name)
        with suppress(CallFailed):  # because what ended the wait is what the caller has to learn
            await connection.call(operations.CancelOperation, cancel, 5)
        raise
    if operation.HasField("error"):
        raise failure_of(operation.error)
    return unpacked(operation.response, response)


def unpacked(packed: Any, message: T) -> T:
    """`message`, filled from an Any that holds one of its type."""
    packed.Unpack(message)
    return message
