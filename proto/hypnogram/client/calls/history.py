"""The calls of History. `at` is a version, the name of a checkpoint, a time, or None for now."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from hypnogram.v1 import history_pb2

from hypnogram.client import moments
from hypnogram.client.calls.operations import finished
from hypnogram.client.connections import Connection, pages
from hypnogram.client.moments import Moment

PAGE = 1000  # events in one response


async def events(
    connection: Connection,
    memory: str,
    after_version: int = 0,
    until_version: int | None = None,
    timeout: float | None = None,
) -> AsyncGenerator[history_pb2.Event, None]:
    """Yields the events of a memory, oldest first."""
    request = history_pb2.ReadEventsRequest(
        memory=memory, after_version=after_version, until_version=until_version, page_size=PAGE
    )
    async with aclosing(connection.stream(connection.stubs.history.ReadEvents, request, timeout)) as responses:
        async for response in responses:
            for event in response.events:
                yield event


def watch(
    connection: Connection, memory: str, after_version: int = 0, timeout: float | None = None
) -> AsyncGenerator[history_pb2.WatchResponse, None]:
    """Yields the events of a memory after a version, then those that are appended, until it is closed."""
    request = history_pb2.WatchRequest(memory=memory, after_version=after_version)
    return connection.stream(connection.stubs.history.Watch, request, timeout)


async def mark(
    connection: Connection, memory: str, name: str, version: int | None = None, timeout: float | None = 60
) -> history_pb2.MarkCheckpointResponse:
    """Names a version, by default the newest."""
    request = history_pb2.MarkCheckpointRequest(memory=memory, name=name, version=version)
    return await connection.call(connection.stubs.history.MarkCheckpoint, request, timeout)


def checkpoints(
    connection: Connection, memory: str, at_version: int | None = None, timeout: float | None = 60
) -> AsyncGenerator[history_pb2.Checkpoint, None]:
    """Yields the checkpoints of a memory."""
    request = history_pb2.ListCheckpointsRequest(memory=memory, at_version=at_version)
    call = connection.stubs.history.ListCheckpoints
    return pages(connection, call, request, timeout, lambda page: page.checkpoints)


async def find_version(
    connection: Connection, memory: str, at: Moment = None, timeout: float | None = 60
) -> history_pb2.FindVersionResponse:
    """Returns the version that a moment names."""
    request = history_pb2.FindVersionRequest(memory=memory, **moments.at(at))
    return await connection.call(connection.stubs.history.FindVersion, request, timeout)


async def replay(
    connection: Connection,
    memory: str,
    at: Moment = None,
    progress: Callable[[history_pb2.ReplayMetadata], None] = lambda _: None,
    *,
    restore_as: str = "",
) -> history_pb2.ReplayResponse:
    """Starts a replay on the server and waits for its end; a wait that is given up cancels it."""
    request = history_pb2.ReplayRequest(memory=memory, restore_as=restore_as, **moments.at(at))
    operation = await connection.call(connection.stubs.history.Replay, request, 60)
    return await finished(connection, operation, history_pb2.ReplayMetadata, progress, history_pb2.ReplayResponse())


async def diff(
    connection: Connection,
    before: tuple[str, Moment],
    after: tuple[str, Moment],
    *,
    ask: bool = False,
    timeout: float | None = 600,
) -> history_pb2.DiffResponse:
    """Compares two versions, each given as a memory and a moment; `ask` compares answers of both models as well."""
    sides = [history_pb2.Side(memory=memory, **moments.at(at)) for memory, at in (before, after)]
    request = history_pb2.DiffRequest(**{"from": sides[0]}, to=sides[1], ask=ask)
    return await connection.call(connection.stubs.history.Diff, request, timeout)


async def compact(
    connection: Connection, memory: str, bound: float = 0.0, timeout: float | None = 600
) -> history_pb2.CompactResponse:
    """Replaces several adapters by one; a `bound` of 0 is the server's default."""
    request = history_pb2.CompactRequest(memory=memory, bound=bound)
    return await connection.call(connection.stubs.history.Compact, request, timeout)


async def verify_log(
    connection: Connection,
    progress: Callable[[history_pb2.VerifyLogMetadata], None] = lambda _: None,
    *,
    skip_weights: bool = False,
) -> history_pb2.VerifyLogResponse:
    """Starts a verification on the server and waits for its end; a wait that is given up cancels it."""
    request = history_pb2.VerifyLogRequest(skip_weights=skip_weights)
    operation = await connection.call(connection.stubs.history.VerifyLog, request, 60)
    return await finished(
        connection, operation, history_pb2.VerifyLogMetadata, progress, history_pb2.VerifyLogResponse()
    )
