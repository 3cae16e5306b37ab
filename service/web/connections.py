"""Refuses connections to the HTTP port beyond its limit, with a response that says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from service.web.failures import error_body

LINGERS = 64  # refused connections that wait for their request, so that the response arrives before they are closed
LINGER_SECONDS = 1.0
CODE = "too_many_connections"

Protocols = Callable[..., asyncio.Protocol]


def at_most(limit: int) -> Protocols:
    """Returns what makes the protocol of a connection: uvicorn's for `limit` at the same time, else a refusal."""
    message = f"the server has its {limit} connections; try again when others are closed (HYPNOGRAM_MAX_CONNECTIONS)"
    body = json.dumps(error_body(503, message, None, CODE)).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    waiting: set[asyncio.BaseTransport] = set()

    def protocol(config: Config, server_state: ServerState, **given: Any) -> asyncio.Protocol:
        if len(server_state.connections) >= limit:
            return _Refusal(head.encode() + body, waiting)
        served: Any = AutoHTTPProtocol
        return cast(asyncio.Protocol, served(config=config, server_state=server_state, **given))

    return protocol


class _Refusal(asyncio.Protocol):
    """Sends a response and closes the connection once its request begins, because a reset may overtake the response."""

    def __init__(self, response: bytes, waiting: set[asyncio.BaseTransport]) -> None:
        self._response = response
        self._waiting = waiting
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._response)
        if len(self._waiting) >= LINGERS:
            self._transport.close()
            return
        self._waiting.add(transport)
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._waiting.discard(self._transport)
