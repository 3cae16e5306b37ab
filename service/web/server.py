"""Runs the HTTP port beside a gRPC server, on its event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors.base import InvalidField
from service.rpc.address import warn_of_public
from service.rpc.server import Served
from service.rpc.status import ShuttingDown, status_of
from service.rpc.tls import server_context
from service.settings import Settings
from service.web.connections import protocols
from service.web.failures import failed, response_to
from service.web.gateway import Gateway
from service.web.metrics import Metrics
from service.web.page.site import Site
from service.web.probes import Probes
from service.web.tools import Tools

BACKLOG = 2048  # connections that wait to be accepted
START_SECONDS = 0.01  # between looks whether it listens

log = structlog.get_logger()


@asynccontextmanager
async def listening(settings: Settings, served: Served) -> AsyncIterator[str]:
    """Serves HTTP on `settings.http` while the block lasts; yields the URL.

    Raises:
        InvalidField: the address cannot be listened on, or is public without `settings.insecure_host`.
    """
    host, port = _parsed(settings.http)
    public = warn_of_public(settings, "http", host, await served.door.required())
    listener = bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"{'https' if settings.tls_certificate else 'http'}://{shown}:{listener.getsockname()[1]}"
    server = _Server(_config(application(settings, served, public=public), settings, served.connections))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(START_SECONDS)
    if serving.done():
        await serving  # which raises why it does not listen
    log.info("http.started", url=url)
    try:
        yield url
    finally:
        log.info("http.stopping", url=url)
        served.door.closing = True
        await served.parts.tail.stop()  # before, because requests may wait for the log
        server.should_exit = True
        await serving
        log.info("http.stopped", url=url)


def application(settings: Settings, served: Served, *, public: bool) -> Starlette:
    """Returns the routes of the HTTP port; from now on the calls of the server are counted."""
    metrics, tools = Metrics(settings, served), Tools(served, settings.max_message_bytes)
    served.door.observers.append(metrics.observe)
    gateway, site = Gateway(served, settings.max_message_bytes), Site(served, settings.max_message_bytes)
    return Starlette(
        routes=[*gateway.routes(), *tools.routes(), *Probes(served, metrics).routes(), *site.routes()],
        middleware=[Middleware(_Stopped), *([] if public else [Middleware(_LocalNames)])],
        exception_handlers={HTTPException: site.refused},
        lifespan=lambda _: tools.running(),
    )


class _Stopped:
    """Responds to requests that uvicorn cancels, because the server stops and they took longer than it lets them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except asyncio.CancelledError:
            if not begun and scope["type"] == "http":
                await failed(status_of(ShuttingDown()))(scope, receive, send)


class _LocalNames:
    """Refuses requests whose Host is not a name of this machine, because a page of another site may have sent them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_local(dict(scope["headers"]).get(b"host", b"").decode("latin-1")):
            misdirected = HTTPException(421, "this port serves localhost alone; name it in the URL")
            await response_to(misdirected)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Server(uvicorn.Server):
    """A server whose process handles signals by itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette, settings: Settings, connections: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,  # calls log themselves
        access_log=False,
        lifespan="on",
        http=protocols(  # type: ignore[arg-type] # it asks for a class and calls it
            connections, settings.request_seconds, server_context(settings)
        ),
        backlog=min(BACKLOG, connections),  # accepted in one go, before they are refused, so that files are left
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.stop_seconds),
    )


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidField("http", f"{address!r} is not an address; write HOST:PORT, as in 127.0.0.1:8000")
    return host, int(port)


def bound(host: str, port: int) -> socket.socket:
    """Returns a socket that listens there. Raises InvalidField."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidField("http", f"{host}:{port} cannot be listened on ({error.strerror}); choose another") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for the connections, too: bodies follow headers
    return listener


def _is_local(host: str) -> bool:
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() in ("localhost", "localhost.") or name.lower().endswith(".localhost")
