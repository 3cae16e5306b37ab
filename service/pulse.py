"""Executors are kept alive, and known to be.

One gives signs of life from a thread of its own; a server tells its clients by grpc.health.v1.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from contextlib import suppress

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health
from sqlalchemy.exc import SQLAlchemyError

from service.ports import Executor
from store.executors import BEAT_SECONDS, Executors

EXECUTOR = "hypnogram.v1.Executor"  # the name under which health tells whether any executor lives
RESTART_SECONDS = 1.0

log = structlog.get_logger()


class Pulse:
    """While it is entered, the executor `owner` gives signs of life."""

    def __init__(self, executors: Executors, owner: str) -> None:
        self._executors, self._owner = executors, owner
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        with suppress(SQLAlchemyError):  # its row grows old instead
            self._executors.leave(self._owner)

    def _beat(self) -> None:
        while not self._done.is_set():
            try:
                self._executors.beat(self._owner)
            except SQLAlchemyError as error:  # the database is away; its executor says so
                log.debug("pulse.missed", error=str(error))
            self._done.wait(BEAT_SECONDS)


def run_on(executor: Executor, stop: threading.Event) -> None:
    """Runs `executor` until `stop` is set, and anew whenever it ends before."""
    while not stop.is_set():
        try:
            executor.run(stop)
        except BaseException:  # there is nobody above: what is raised here ends the thread, and nobody would know
            log.error("executor.died", error=traceback.format_exc(limit=3))
            stop.wait(RESTART_SECONDS)


async def watch(executors: Executors, servicer: health.HealthServicer) -> None:
    """Keeps the health of `EXECUTOR` until it is cancelled. Who cannot ask the database knows of no executor."""
    while True:
        try:
            alive = await asyncio.to_thread(executors.any_alive)
        except SQLAlchemyError:
            alive = False
        status = health_pb2.HealthCheckResponse.SERVING if alive else health_pb2.HealthCheckResponse.NOT_SERVING
        await servicer.set(EXECUTOR, status)
        await asyncio.sleep(BEAT_SECONDS)
