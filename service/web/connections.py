"""Begins TLS on connections to the HTTP port, closes those that are too slow, and refuses those beyond its limit."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from service.web.failures import error_body

LINGERS = 64  # refused connections that wait for their request, so that the response arrives before they are closed
LINGER_SECONDS = 1.0
FULL, LATE = "too_many_connections", "request_timeout"

Protocols = Callable[..., asyncio.Protocol]


def protocols(limit: int, seconds: float, tls: ssl.SSLContext | None) -> Protocols:
    """Returns what makes the protocol of a connection: uvicorn's for `limit` at the same time, else a refusal.

    TLS is begun here, because uvicorn neither counts a connection before, nor says how long it may take.

    Args:
        seconds: within which TLS has to begin, and then each request to arrive.
        tls: what connections speak TLS with; None where they do not.
    """
    full = f"the server has its {limit} connections; try again when others are closed (HYPNOGRAM_MAX_CONNECTIONS)"
    refusal = _response("503 Service Unavailable", FULL, full, "retry-after: 1\r\n")
    waiting: set[asyncio.BaseTransport] = set()
    begins: set[asyncio.Task[None]] = set()  # of TLS
    refused_begins: set[asyncio.Task[None]] = set()

    def protocol(config: Config, server_state: ServerState, **given: Any) -> asyncio.Protocol:
        if len(server_state.connections) + len(begins) >= limit:
            refused = _Refusal(refusal, waiting)
            return refused if tls is None else _Secured(refused, tls, LINGER_SECONDS, refused_begins, LINGERS)
        uvicorns: Any = AutoHTTPProtocol
        served = _Timed(uvicorns(config=config, server_state=server_state, **given), seconds)
        return served if tls is None else _Secured(served, tls, seconds, begins, limit)

    return protocol


class _Secured(asyncio.Protocol):
    """Begins TLS on a connection, then hands it over to its protocol; closes it where that fails or takes too long."""

    def __init__(
        self, served: asyncio.Protocol, tls: ssl.SSLContext, seconds: float, begins: set[asyncio.Task[None]], most: int
    ) -> None:
        """`begins` are those of its kind that do not speak TLS yet; beyond `most` of them it is closed at once."""
        self._served = served
        self._tls = tls
        self._seconds = seconds
        self._begins = begins
        self._most = most
        self._early: list[bytes] = []  # what comes with the end of the client's handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast(asyncio.Transport, transport)
        if len(self._begins) >= self._most:
            connection.abort()
            return
        connection.pause_reading()  # until start_tls reads
        begin = asyncio.get_running_loop().create_task(self._begin(connection))
        self._begins.add(begin)
        begin.add_done_callback(self._begins.discard)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    async def _begin(self, connection: asyncio.Transport) -> None:
        begin = asyncio.get_running_loop().start_tls
        try:
            secured = await begin(
                connection, self, self._tls, server_side=True, ssl_handshake_timeout=self._seconds
            )  # which closes it where it fails
        except OSError:
            return
        if secured is None:  # it was lost meanwhile
            return
        secured.set_protocol(self._served)
        self._served.connection_made(secured)
        for data in self._early:
            self._served.data_received(data)


class _Timed(asyncio.Protocol):
    """Closes a connection whose next request, headers and body, has not arrived in time; answers may take any time.

    Between two requests the connection is closed by uvicorn.
    """

    def __init__(self, served: Any, seconds: float) -> None:
        """`served` is uvicorn's protocol of the connection."""
        self._served = served
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False  # whether a request has begun since the last one arrived
        self._responded = served.on_response_complete
        served.on_response_complete = self._complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._served.connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._served.data_received(data)
        self._look()

    def pause_writing(self) -> None:
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._served.connection_lost(exc)

    def _complete(self) -> None:
        self._responded()  # which may begin the next request, where it has come already
        self._look()

    def _look(self) -> None:
        """Stops the timer while a request that arrived is answered, and lets it run otherwise."""
        request = self._served.cycle
        if request is None or request.more_body or request.response_complete:
            self._start()
        else:
            self._stop()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._late)

    def _stop(self) -> None:
        self._heard = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        transport, request = self._served.transport, self._served.cycle
        is_answered = request is not None and request.response_started and request.more_body
        if self._heard and not is_answered and not transport.is_closing():
            message = f"the request did not arrive within {self._seconds:g} seconds (HYPNOGRAM_REQUEST_SECONDS)"
            transport.write(_response("408 Request Timeout", LATE, message))
        transport.close()


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


def _response(status: str, code: str, message: str, header: str = "") -> bytes:
    """Returns the last response of a connection, in OpenAI's form."""
    body = json.dumps(error_body(int(status[:3]), message, None, code)).encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
