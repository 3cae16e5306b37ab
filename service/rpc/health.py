"""grpc.health.v1: whether services are available, and which memories' weights this server has proven."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from core.errors.base import MemoryGone, MemoryUnknown
from core.ids import MemoryId
from service.app.ports import ModelHost
from service.app.repository import MemoryRepository
from service.rpc.log_tail import LogTail
from service.rpc.status import ShuttingDown
from store.log.event_log import EventLog
from store.log.listing import Listed

LOOK_SECONDS = 5.0  # between looks at an idle log, and so until an unreachable one is noticed
RETRY_SECONDS = 5.0  # before a memory that failed is tried again; doubled after each further failure
LONGEST_RETRY_SECONDS = 300.0
NEVER_REACHED = 2**63  # position of a log
AT_START = 100  # memories, those that changed last, that a server proves before anyone asks for them
CHAT = "hypnogram.v1.Chat"

log = structlog.get_logger()


def health_name(memory: MemoryId) -> str:
    """Returns the service name of a memory's health."""
    return f"{CHAT}/{memory}"


@dataclass(slots=True)
class _Unproven:
    position: int  # of its newest event
    due: float  # time of the next attempt, by the monotonic clock; infinite until something happens
    waits: bool = False  # until it is asked for or changes
    failures: int = 0
    failure: str = ""


class Readiness:
    """Keeps the health of each service and of each memory.

    Services, and the server as a whole (the empty name), are SERVING while the log can be read. A memory is SERVING
    once it has answered a canary question with weights of the recorded digest, which is checked once. Memories are
    proven one at a time, the most recently changed first, and one that fails does not hold up the next. Of those that
    are there at the start only the `AT_START` that changed last are proven at once; the others wait until they change
    or a call asks for one.

    Attributes:
        serving: whether the log could be read when it was last looked at.
    """

    def __init__(
        self, events: EventLog, states: MemoryRepository, tail: LogTail, models: ModelHost, services: Sequence[str]
    ) -> None:
        self.servicer = _Servicer(self)
        self.serving = False
        self._events = events
        self._states = states
        self._tail = tail
        self._models = models
        self._services = ("", *services)
        self._proven: set[MemoryId] = set()
        self._unproven: dict[MemoryId, _Unproven] = {}
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """Sets services to SERVING; to be called before the server listens, because its log has just been opened."""
        await self._serve(True)

    async def watch(self) -> None:
        """Runs until it is cancelled or the server stops."""
        proving = asyncio.create_task(self._prove())
        try:
            await self._follow()
        except ShuttingDown:
            self.serving = False
            await self.servicer.enter_graceful_shutdown()
        finally:
            proving.cancel()
            await asyncio.gather(proving, return_exceptions=True)

    def proven(self, memory: MemoryId) -> bool:
        """Whether `memory` has answered a canary with the recorded weights in this process."""
        return memory in self._proven

    @property
    def waiting(self) -> int:
        """Number of memories that are not proven before they change or are asked for."""
        return sum(unproven.waits for unproven in self._unproven.values())

    def ask(self, memory: str) -> None:
        """Notes that a call asks for `memory`, so that it is proven now if it waits for that."""
        unproven = self._unproven.get(MemoryId(memory))
        if unproven is not None and unproven.waits:
            unproven.waits, unproven.due = False, 0.0
            self._news.set()

    def failure(self, memory: MemoryId) -> str:
        """Returns why the last attempt to prove `memory` failed; empty where it succeeded or there was none."""
        unproven = self._unproven.get(memory)
        return unproven.failure if unproven else ""

    async def _follow(self) -> None:
        """Queues memories that changed, and sets the health of services. Raises ShuttingDown."""
        seen = 0
        while True:
            position = self._tail.position
            try:
                moved = await asyncio.to_thread(self._events.moved, seen)
                await self._serve(True)
                there = [] if seen else [listed for listed in moved if not listed.deleted]  # at the start
                old = {listed.memory for listed in sorted(there, key=lambda listed: -listed.position)[AT_START:]}
                started = seen > 0
                for listed in moved:
                    if listed.deleted and started:
                        await asyncio.to_thread(self._models.forget, listed.memory, listed.version)
                    seen = max(seen, listed.position)
                    await self._look_at(listed, waits=listed.memory in old)
                if old:
                    log.info("readiness.waiting", memories=len(old))
            except Exception as error:  # any error, so that the health of the server is still kept
                log.warning("readiness.cannot_look", error=str(error), kind=type(error).__name__)
                await self._serve(False)
                position = NEVER_REACHED
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._tail.wait_past(position)
            except TimeoutError:
                pass

    async def _look_at(self, listed: Listed, waits: bool) -> None:
        memory = listed.memory
        if listed.deleted:
            await self._forget(memory)
            return
        if memory in self._proven:
            return
        unproven = self._unproven.get(memory)
        if unproven is None:
            await self._set(health_name(memory), False)
            unproven = self._unproven[memory] = _Unproven(listed.position, inf)
        unproven.position, unproven.waits = listed.position, waits
        if waits:
            return
        unproven.due = min(unproven.due, time.monotonic() + RETRY_SECONDS if unproven.failures else 0.0)
        self._news.set()

    async def _forget(self, memory: MemoryId) -> None:
        self._proven.discard(memory)
        self._unproven.pop(memory, None)
        await self._set(health_name(memory), False)

    async def _prove(self) -> None:
        """Proves the memories that are due, one at a time."""
        while True:
            self._news.clear()
            now = time.monotonic()
            due = [memory for memory, unproven in self._unproven.items() if unproven.due <= now]
            for memory in sorted(due, key=lambda memory: -self._unproven[memory].position):
                if memory in self._unproven:  # not deleted meanwhile
                    await self._try(memory)
                if self._news.is_set():  # of a memory that has changed more recently
                    break
            if due:
                continue
            next_due = min((unproven.due for unproven in self._unproven.values()), default=inf)
            try:
                async with asyncio.timeout(None if next_due == inf else next_due - now):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _try(self, memory: MemoryId) -> None:
        unproven = self._unproven[memory]
        position = unproven.position
        try:
            state = await asyncio.to_thread(self._states.at, memory, None)
            if state.statistics is None:  # it answers as its base model does; its next event may change that
                unproven.due = inf if unproven.position == position else 0.0
                return
            await asyncio.to_thread(self._models.ready, memory)
        except (MemoryUnknown, MemoryGone):
            del self._unproven[memory]
        except Exception as error:  # any error, because it concerns this memory alone
            log.error("memory.not_ready", memory=memory, error=str(error), kind=type(error).__name__)
            wait = min(RETRY_SECONDS * 2.0**unproven.failures, LONGEST_RETRY_SECONDS)
            unproven.failures, unproven.failure = unproven.failures + 1, str(error)
            unproven.due = time.monotonic() + wait
        else:
            log.info("memory.ready", memory=memory)
            if self._unproven.pop(memory, None) is not None:  # not deleted meanwhile
                self._proven.add(memory)
                await self._set(health_name(memory), True)

    async def _serve(self, serving: bool) -> None:
        self.serving = serving
        for name in self._services:
            await self._set(name, serving)

    async def _set(self, name: str, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)


class _Servicer(health.HealthServicer):  # type: ignore[misc]
    """Health as gRPC knows it, in which asking for the health of a memory asks for the memory."""

    def __init__(self, readiness: Readiness) -> None:
        super().__init__()
        self._readiness = readiness

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        self._readiness.ask(request.service.partition("/")[2])
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        self._readiness.ask(request.service.partition("/")[2])
        await super().Watch(request, context)
