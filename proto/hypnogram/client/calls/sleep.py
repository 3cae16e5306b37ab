"""The calls of Sleep. A `request_id` that is not given is made up; `news` is called with each message of a sleep."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from google.longrunning import operations_pb2
from hypnogram.v1 import memories_pb2, sleep_pb2

from hypnogram.client.calls.operations import unpacked
from hypnogram.client.connections import Connection, pages

News = sleep_pb2.WatchSleepResponse


async def sleep(
    connection: Connection,
    memory: str,
    policy: memories_pb2.SleepPolicy | None = None,
    *,
    seed: int | None = None,
    request_id: str = "",
    news: Callable[[News], None] = lambda _: None,
) -> sleep_pb2.SleepReport:
    """Begins a sleep and waits for its end; a wait that is given up leaves it to go on."""
    begun = await begin_sleep(connection, memory, policy, seed=seed, request_id=request_id)
    return await watched(connection, memory, begun, news)


async def nap(
    connection: Connection,
    memory: str,
    policy: memories_pb2.SleepPolicy | None = None,
    *,
    seed: int | None = None,
    request_id: str = "",
    news: Callable[[News], None] = lambda _: None,
) -> sleep_pb2.SleepReport:
    """Begins a nap and waits for its end."""
    begun = await begin_nap(connection, memory, policy, seed=seed, request_id=request_id)
    return await watched(connection, memory, begun, news)


async def begin_sleep(
    connection: Connection,
    memory: str,
    policy: memories_pb2.SleepPolicy | None = None,
    *,
    seed: int | None = None,
    request_id: str = "",
    timeout: float | None = 60,
) -> str:
    """Begins a sleep and returns its id."""
    request = sleep_pb2.SleepRequest(
        memory=memory, request_id=request_id or str(uuid.uuid4()), seed=seed, policy=policy
    )
    return _sleep_of(await connection.call(connection.stubs.sleep.Sleep, request, timeout))


async def begin_nap(
    connection: Connection,
    memory: str,
    policy: memories_pb2.SleepPolicy | None = None,
    *,
    seed: int | None = None,
    request_id: str = "",
    timeout: float | None = 60,
) -> str:
    """Begins a nap and returns its id."""
    request = sleep_pb2.NapRequest(memory=memory, request_id=request_id or str(uuid.uuid4()), seed=seed, policy=policy)
    return _sleep_of(await connection.call(connection.stubs.sleep.Nap, request, timeout))


def watch_sleep(
    connection: Connection, memory: str, sleep: str = "", timeout: float | None = None
) -> AsyncGenerator[News, None]:
    """Yields what happened in a sleep, by default the last one, then what happens until it has ended."""
    request = sleep_pb2.WatchSleepRequest(memory=memory, sleep=sleep)
    return connection.stream(connection.stubs.sleep.WatchSleep, request, timeout)


async def watched(
    connection: Connection, memory: str, sleep: str = "", news: Callable[[News], None] = lambda _: None
) -> sleep_pb2.SleepReport:
    """Waits until a sleep, by default the last one, has ended, and returns its report."""
    report = sleep_pb2.SleepReport()
    async with aclosing(watch_sleep(connection, memory, sleep)) as messages:
        async for message in messages:
            news(message)
            if message.HasField("ended"):
                report = message.ended
    return report


async def sleep_report(
    connection: Connection,
    memory: str,
    sleep: str = "",
    at_version: int | None = None,
    timeout: float | None = 60,
) -> sleep_pb2.GetSleepResponse:
    """Returns what a sleep, by default the last one, did so far or until its end."""
    request = sleep_pb2.GetSleepRequest(memory=memory, sleep=sleep, at_version=at_version)
    return await connection.call(connection.stubs.sleep.GetSleep, request, timeout)


def sleeps(
    connection: Connection, memory: str, at_version: int | None = None, timeout: float | None = 60
) -> AsyncGenerator[sleep_pb2.SleepSummary, None]:
    """Yields the sleeps and naps of a memory."""
    request = sleep_pb2.ListSleepsRequest(memory=memory, at_version=at_version)
    return pages(connection, connection.stubs.sleep.ListSleeps, request, timeout, lambda page: page.sleeps)


async def cancel_sleep(
    connection: Connection, memory: str, sleep: str, timeout: float | None = 60
) -> sleep_pb2.CancelSleepResponse:
    """Asks a sleep to end before its next step."""
    request = sleep_pb2.CancelSleepRequest(memory=memory, sleep=sleep)
    return await connection.call(connection.stubs.sleep.CancelSleep, request, timeout)


def _sleep_of(operation: operations_pb2.Operation) -> str:
    return unpacked(operation.metadata, sleep_pb2.SleepMetadata()).sleep
