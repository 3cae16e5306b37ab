"""Any call of the stubs with a request of the caller's own, for what the other methods do not offer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from google.protobuf.message import Message

from hypnogram.client.connections import Connection


async def call(connection: Connection, call: Callable[..., Any], request: Message, timeout: float | None = 60) -> Any:
    """Returns the response of a call of `client.stubs`."""
    return await connection.call(call, request, timeout)


def stream(
    connection: Connection, call: Callable[..., Any], request: Message, timeout: float | None = None
) -> AsyncGenerator[Any, None]:
    """Yields the responses of a streaming call of `client.stubs`."""
    return connection.stream(call, request, timeout)
