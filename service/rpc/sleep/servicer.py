"""The Sleep service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import sleep_pb2, sleep_pb2_grpc

from core.decide.commands import CancelSleep, StartSleep
from core.errors.base import InvalidField, MemoryUnknown
from core.events.codec import canonical
from core.ids import Digest, MemoryId, SleepId
from core.policy import changed_policy
from core.state.memory import Memory
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Context, current_cause
from service.rpc.messages import policy, requests
from service.rpc.messages.page_tokens import paged_state
from service.rpc.messages.responses import timestamp
from service.rpc.sleep.feed import SleepFeed, Span, spans
from service.rpc.sleep.report import News
from store.clock import next_uuid


class SleepServicer(sleep_pb2_grpc.SleepServicer):
    """Begins, follows, lists and cancels sleeps and naps, and reports what they did."""

    def __init__(self, parts: Dependencies, feed: SleepFeed) -> None:
        self._parts = parts
        self._states = parts.states
        self._feed = feed

    async def Sleep(  # noqa: N802
        self, request: sleep_pb2.SleepRequest, context: Context
    ) -> operations_pb2.Operation:
        return await self._begin("sleep", request)

    async def Nap(self, request: sleep_pb2.NapRequest, context: Context) -> operations_pb2.Operation:  # noqa: N802
        return await self._begin("nap", request)

    async def GetSleep(  # noqa: N802
        self, request: sleep_pb2.GetSleepRequest, context: Context
    ) -> sleep_pb2.GetSleepResponse:
        memory, sleep = requests.memory_id(request.memory), requests.sleep_id(request.sleep)
        at_version, min_version = requests.as_of(request)

        def find() -> sleep_pb2.GetSleepResponse:
            state = self._states.at(memory, at_version, min_version)
            return sleep_pb2.GetSleepResponse(report=self._feed.report(memory, state, sleep), version=state.version)

        return await asyncio.to_thread(find)

    async def ListSleeps(  # noqa: N802
        self, request: sleep_pb2.ListSleepsRequest, context: Context
    ) -> sleep_pb2.ListSleepsResponse:
        memory = requests.memory_id(request.memory)
        paged = await paged_state(self._states, memory, request, "sleeps", max_bytes=self._parts.page_bytes)

        def page() -> tuple[list[sleep_pb2.SleepSummary], str]:
            listed = spans(paged.state)
            start = next((index + 1 for index, sleep in enumerate(listed) if sleep.id == paged.after), 0)
            rest = (self._summary(memory, paged.state, sleep) for sleep in listed[start:])
            return paged.page(rest, key=lambda summary: summary.sleep)

        summaries, next_token = await asyncio.to_thread(page)
        return sleep_pb2.ListSleepsResponse(sleeps=summaries, next_page_token=next_token, version=paged.state.version)

    async def CancelSleep(  # noqa: N802
        self, request: sleep_pb2.CancelSleepRequest, context: Context
    ) -> sleep_pb2.CancelSleepResponse:
        memory, sleep = requests.memory_id(request.memory), requests.sleep_id(request.sleep)
        if not sleep:
            raise InvalidField("sleep", "is empty; name the sleep: GetSleep and GetMemory say which is in progress")
        state = await self._cancel(memory, sleep)
        report = await asyncio.to_thread(self._feed.report, memory, state, sleep)
        return sleep_pb2.CancelSleepResponse(report=report, version=state.version)

    async def WatchSleep(  # noqa: N802
        self, request: sleep_pb2.WatchSleepRequest, context: Context
    ) -> AsyncIterator[sleep_pb2.WatchSleepResponse]:
        memory, sleep = requests.memory_id(request.memory), requests.sleep_id(request.sleep)
        async for news in self._feed.news(memory, sleep):
            yield news

    async def _begin(
        self, kind: str, request: sleep_pb2.SleepRequest | sleep_pb2.NapRequest
    ) -> operations_pb2.Operation:
        memory = requests.memory_id(request.memory)
        request_id = requests.sleep_request_id(request.request_id)
        seed = requests.seed(request)
        given = policy.given(request.policy)
        content = canonical([kind, seed, request.policy.SerializeToString(deterministic=True).hex()])
        digest = Digest(hashlib.sha256(content.encode()).hexdigest())

        def command(state: Memory) -> StartSleep:
            if state.created is None:
                raise MemoryUnknown(memory)
            policy = changed_policy(state.created.sleep, given, "policy")
            return StartSleep(
                sleep=SleepId(next_uuid()),
                kind=kind,
                trigger="client",
                policy=policy,
                seed=state.version if seed is None else seed,
                request=request_id,
                request_digest=digest,
            )

        state = await asyncio.to_thread(
            self._states.execute, memory, command, current_cause(request_id), None, self._parts.retries
        )
        sleep = state.requests[request_id].sleep
        assert sleep is not None
        return self._follow(memory, sleep, kind)

    def _follow(self, memory: MemoryId, sleep: SleepId, kind: str) -> operations_pb2.Operation:
        """The operation that follows `sleep`; a new one only where none exists or the last one failed."""
        started = Timestamp()
        started.GetCurrentTime()
        metadata = sleep_pb2.SleepMetadata(memory=memory, sleep=sleep, kind=kind, started_at=started)

        async def follow(report: Callable[[Message], None]) -> Message:
            async for news in self._feed.news(memory, sleep):
                if news.HasField("ended"):
                    for field in ("step", "done", "total", "loss"):
                        metadata.ClearField(field)
                    report(metadata)
                    return news.ended
                _note(metadata, news)
                report(metadata)
            raise AssertionError("the news of a sleep ends with its report")

        async def cancel() -> None:
            await self._cancel(memory, sleep)

        return self._parts.operations.follow(sleep, follow, cancel, metadata)

    async def _cancel(self, memory: MemoryId, sleep: SleepId) -> Memory:
        def command(state: Memory) -> CancelSleep:
            if state.created is None:
                raise MemoryUnknown(memory)
            return CancelSleep(sleep=sleep)

        return await asyncio.to_thread(
            self._states.execute, memory, command, current_cause(), None, self._parts.retries
        )

    def _summary(self, memory: MemoryId, state: Memory, sleep: Span) -> sleep_pb2.SleepSummary:
        (started,) = self._parts.store.log.read(memory=memory, after_version=sleep.began - 1, limit=1)
        summary = sleep_pb2.SleepSummary(
            sleep=sleep.id, began_version=sleep.began, began_at=timestamp(started.recorded_at)
        )
        if (night := state.nights.get(sleep.id)) is not None:
            summary.kind, summary.trigger = night.kind, night.trigger
            summary.ended, summary.completed, summary.remark = True, night.completed, night.reason
            summary.ended_version = night.ended
        elif state.sleep is not None:
            summary.kind, summary.trigger = state.sleep.started.kind, state.sleep.started.trigger
        return summary


def _note(metadata: sleep_pb2.SleepMetadata, news: News) -> None:
    """Updates the metadata of an operation by one piece of news."""
    match news.WhichOneof("what"):
        case "began":
            metadata.started_at.CopyFrom(news.began.began_at)
        case "step":
            metadata.step, metadata.done, metadata.total = news.step.step, 0, 0
            metadata.ClearField("loss")
        case "progress":
            metadata.done, metadata.total = news.progress.done, news.progress.total
            if news.progress.HasField("loss"):
                metadata.loss = news.progress.loss
        case "audited":
            metadata.healthy = news.audited.healthy
        case "change":
            metadata.advanced += news.change.what == "advanced"
        case _:
            pass
