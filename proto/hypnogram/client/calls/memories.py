"""The calls of Memories."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from hypnogram.v1 import memories_pb2

from hypnogram.client import moments
from hypnogram.client.connections import Connection, pages
from hypnogram.client.moments import Moment


async def create_memory(
    connection: Connection,
    memory: str,
    base: memories_pb2.BaseModel | None = None,
    hyperparameters: memories_pb2.Hyperparameters | None = None,
    sleep: memories_pb2.SleepPolicy | None = None,
    capacity: float | None = None,
    method: str = "",
    remember: str = "",
    keep_texts_days: int = 0,
    about_user: bool = False,
    timeout: float | None = 600,
) -> memories_pb2.CreateMemoryResponse:
    """Creates a memory; what is None is the default of the base model or of the server."""
    request = memories_pb2.CreateMemoryRequest(
        memory=memory,
        base=base,
        hyperparameters=hyperparameters,
        sleep=sleep,
        capacity=capacity,
        method=method,
        remember=remember,
        keep_texts_days=keep_texts_days,
        about_user=about_user,
    )
    return await connection.call(connection.stubs.memories.CreateMemory, request, timeout)


async def memory(
    connection: Connection, memory: str, at_version: int | None = None, timeout: float | None = 60
) -> memories_pb2.GetMemoryResponse:
    """Returns a memory as it is, or as it was at a version."""
    request = memories_pb2.GetMemoryRequest(memory=memory, at_version=at_version)
    return await connection.call(connection.stubs.memories.GetMemory, request, timeout)


def memories(connection: Connection, timeout: float | None = 60) -> AsyncGenerator[memories_pb2.MemorySummary, None]:
    """Yields every memory of the server."""
    request = memories_pb2.ListMemoriesRequest()
    return pages(connection, connection.stubs.memories.ListMemories, request, timeout, lambda page: page.memories)


async def rebase_memory(
    connection: Connection, memory: str, name: str, revision: str = "", timeout: float | None = 60
) -> memories_pb2.RebaseMemoryResponse:
    """Records where the files of a memory's base model are now."""
    request = memories_pb2.RebaseMemoryRequest(memory=memory, name=name, revision=revision)
    return await connection.call(connection.stubs.memories.RebaseMemory, request, timeout)


async def delete_memory(
    connection: Connection, memory: str, expected_version: int | None = None, timeout: float | None = 60
) -> memories_pb2.DeleteMemoryResponse:
    """Deletes a memory, or returns how far its deletion has come."""
    request = memories_pb2.DeleteMemoryRequest(memory=memory, expected_version=expected_version)
    return await connection.call(connection.stubs.memories.DeleteMemory, request, timeout)


async def fork(
    connection: Connection, memory: str, parent: str, at: Moment = None, timeout: float | None = 60
) -> memories_pb2.ForkMemoryResponse:
    """Creates a memory `memory` that begins as `parent` was at a version, a checkpoint or a time, or is now."""
    request = memories_pb2.ForkMemoryRequest(memory=memory, parent=parent, **moments.at(at))
    return await connection.call(connection.stubs.memories.ForkMemory, request, timeout)
