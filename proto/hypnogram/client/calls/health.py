"""Asks whether a server is there, and ready."""

from __future__ import annotations

from grpc_health.v1 import health_pb2

from hypnogram.client.connections import Connection
from hypnogram.client.errors import CallFailed


async def serving(connection: Connection, service: str = "", timeout: float | None = 5) -> bool:
    """Whether the server, or a service of it, is ready; False also when no server answers."""
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = await connection.call(connection.stubs.health.Check, request, timeout)
    except CallFailed:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def up(connection: Connection, seconds: float) -> bool:
    """Whether a server answers, after waiting for it for at most `seconds`."""
    if not seconds:
        return False
    check = connection.stubs.health.Check
    try:
        await connection.call(check, health_pb2.HealthCheckRequest(), seconds, wait_for_ready=True)
    except CallFailed as error:
        return error.code != "DEADLINE_EXCEEDED"
    return True
