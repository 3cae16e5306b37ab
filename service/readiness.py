"""grpc.health.v1: who asks is told SERVING once the weights are proven to be the recorded ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from core.ids import MemoryId
from service.ports import Models
from service.states import States
from service.status import ShuttingDown
from service.tail import Tail
from store.log import EventLog

RETRY_SECONDS = 5.0  # before a memory that was not ready is asked again
WEIGHTS = ("", "hypnogram.v1.Chat")  # services that answer from weights; "" is the server as a whole

log = structlog.get_logger()


class Readiness:
    """Keeps the health of each service.

    Services that only read and append are SERVING from the start. Those that answer from weights are once every memory
    whose statistics are prepared has answered a canary with weights of the recorded digest, each checked once.
    """

    def __init__(self, events: EventLog, states: States, tail: Tail, models: Models, services: Sequence[str]) -> None:
        self.servicer = health.HealthServicer()
        self._events = events
        self._states = states
        self._tail = tail
        self._models = models
        self._services = services
        self._ready: set[MemoryId] = set()

    async def begin(self) -> None:
        """Call before the server listens: nothing that answers from weights is SERVING before it was proven."""
        for name in (*self._services, *WEIGHTS):
            await self._set(name, name not in WEIGHTS)

    async def watch(self) -> None:
        """Runs until it is cancelled or the server stops."""
        try:
            while True:
                position = self._tail.position
                failed = await self._check()
                for name in WEIGHTS:
                    await self._set(name, not failed)
                if failed:
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    await self._tail.beyond(position)
        except ShuttingDown:
            await self.servicer.enter_graceful_shutdown()

    async def _check(self) -> list[MemoryId]:
        """Asks the memories that were not ready yet; returns those that are not."""
        failed = []
        for memory in await asyncio.to_thread(self._events.memories):
            if memory in self._ready:
                continue
            try:
                state = await asyncio.to_thread(self._states.current, memory)
                if state.statistics is None:
                    continue
                await asyncio.to_thread(self._models.ready, memory)
            except Exception as error:  # whatever it is, this memory is not ready
                log.error("memory.not_ready", memory=memory, error=str(error), kind=type(error).__name__)
                failed.append(memory)
            else:
                log.info("memory.ready", memory=memory)
                self._ready.add(memory)
        return failed

    async def _set(self, name: str, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)
