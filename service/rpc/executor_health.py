"""Tells clients by grpc.health.v1 whether any executor lives."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health
from sqlalchemy.exc import SQLAlchemyError

from store.database.executors import BEAT_SECONDS, Executors

EXECUTOR = "hypnogram.v1.Executor"  # the name under which health tells whether any executor lives


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
