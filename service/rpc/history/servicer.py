"""The History service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from google.longrunning import operations_pb2
from hypnogram.v1 import history_pb2, history_pb2_grpc

from core.errors.base import MemoryUnknown, VersionUnknown
from core.ids import MemoryId
from service.rpc.dependencies import Dependencies
from service.rpc.history.checkpoints import find_version, list_checkpoints, mark_checkpoint
from service.rpc.history.diff import compact, diff
from service.rpc.history.replay import replay, verify_log
from service.rpc.interceptor import Context, current_caller
from service.rpc.messages import requests
from service.rpc.messages.page_tokens import fitting
from service.rpc.messages.responses import event_message

WATCH_PAGE = 200  # events read at once
PAGE_BYTES = 32 * 1024  # of events in one message, far below the lowest `max_message_bytes` allowed


class HistoryServicer(history_pb2_grpc.HistoryServicer):
    """Reads and follows the log itself; the other calls are functions in the modules beside this one."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._log = parts.store.log

    async def ReadEvents(  # noqa: N802
        self, request: history_pb2.ReadEventsRequest, context: Context
    ) -> AsyncIterator[history_pb2.ReadEventsResponse]:
        memory = requests.memory_id(request.memory)
        after = requests.version(request.after_version, "after_version")
        until = requests.optional_version(request, "until_version")
        size, caller = requests.page_size(request.page_size), current_caller()
        head = await self._head(memory, after)
        if until is not None and until > head:
            raise VersionUnknown(memory, until, head)
        end = head if until is None else until
        if after >= end:
            yield history_pb2.ReadEventsResponse(version=head)
        while after < end:
            page = await asyncio.to_thread(
                self._log.read, memory=memory, after_version=after, limit=min(size, end - after)
            )
            for events in _messages([event_message(recorded, caller) for recorded in page]):
                yield history_pb2.ReadEventsResponse(events=events, version=head)
            after = page[-1].version

    async def Watch(  # noqa: N802
        self, request: history_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[history_pb2.WatchResponse]:
        memory = requests.memory_id(request.memory)
        after = requests.version(request.after_version, "after_version")
        head = await self._head(memory, after)
        caught_up, caller = False, current_caller()
        while True:
            position = self._parts.tail.position
            page = await asyncio.to_thread(self._log.read, memory=memory, after_version=after, limit=WATCH_PAGE)
            for recorded in page:
                if not caught_up and recorded.version > head:
                    caught_up = True
                    yield _caught_up(after)
                after = recorded.version
                yield history_pb2.WatchResponse(event=event_message(recorded, caller), version=after)
            if not caught_up and after >= head:
                caught_up = True
                yield _caught_up(after)
            if len(page) < WATCH_PAGE:
                await self._parts.tail.wait_past(position)

    async def MarkCheckpoint(  # noqa: N802
        self, request: history_pb2.MarkCheckpointRequest, context: Context
    ) -> history_pb2.MarkCheckpointResponse:
        return await mark_checkpoint(self._parts, request)

    async def ListCheckpoints(  # noqa: N802
        self, request: history_pb2.ListCheckpointsRequest, context: Context
    ) -> history_pb2.ListCheckpointsResponse:
        return await list_checkpoints(self._parts, request)

    async def FindVersion(  # noqa: N802
        self, request: history_pb2.FindVersionRequest, context: Context
    ) -> history_pb2.FindVersionResponse:
        return await find_version(self._parts, request)

    async def Diff(self, request: history_pb2.DiffRequest, context: Context) -> history_pb2.DiffResponse:  # noqa: N802
        return await diff(self._parts, request)

    async def Compact(  # noqa: N802
        self, request: history_pb2.CompactRequest, context: Context
    ) -> history_pb2.CompactResponse:
        return await compact(self._parts, request)

    async def Replay(  # noqa: N802
        self, request: history_pb2.ReplayRequest, context: Context
    ) -> operations_pb2.Operation:
        return await replay(self._parts, request)

    async def VerifyLog(  # noqa: N802
        self, request: history_pb2.VerifyLogRequest, context: Context
    ) -> operations_pb2.Operation:
        return await verify_log(self._parts, request)

    async def _head(self, memory: MemoryId, after: int) -> int:
        head = await asyncio.to_thread(self._log.head, memory)
        if not head:
            raise MemoryUnknown(memory)
        if after > head:
            raise VersionUnknown(memory, after, head)
        return head


def _messages(events: list[history_pb2.Event]) -> Iterator[list[history_pb2.Event]]:
    """Splits `events` into pages of at most `PAGE_BYTES`, because the event of an audit is long."""
    while page := fitting(events, PAGE_BYTES):
        yield page
        events = events[len(page) :]


def _caught_up(version: int) -> history_pb2.WatchResponse:
    return history_pb2.WatchResponse(caught_up=history_pb2.CaughtUp(), version=version)
