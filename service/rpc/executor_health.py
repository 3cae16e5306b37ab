"""Reports by grpc.health.v1 whether any executor is alive."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health
from sqlalchemy.exc import SQLAlchemyError

from store.database.executors import BEAT_SECONDS, Executors

EXECUTOR = "hypnogram.v1.Executor"  # service name of this health


async def watch(executors: Executors, servicer: health.HealthServicer) -> None:
    """Updates the health of `EXECUTOR` until cancelled; while the database is unreachable, no executor is known."""
    while True:
        try:
            alive = await asyncio.to_thread(executors.any_alive)
        except SQLAlchemyError:
            alive = False
        status = health_pb2.HealthCheckResponse.SERVING if alive else health_pb2.HealthCheckResponse.NOT_SERVING
        await servicer.set(EXECUTOR, status)
        await asyncio.sleep(BEAT_SECONDS)
