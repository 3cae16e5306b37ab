"""Performs calls on a channel: `Blocking` for threads, `Asyncio` for event loops.

Calls are written once, as coroutines in `calls/`. On a `Blocking` connection no `await` of theirs suspends,
so a coroutine is run to its end by a single `send`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from hypnogram.client.failures import failures
from hypnogram.client.stubs import Stubs

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

T = TypeVar("T")
Item = TypeVar("Item")

Call = Callable[..., T]  # a call of a stub with one response
Stream = Callable[..., Iterator[T]]  # a call of a stub with a stream of responses


@dataclass(frozen=True)
class Access:
    """How a server is reached.

    Attributes:
        actor: who acts, for servers that ask for no token.
        token: what `hypnogram token create` printed.
        credentials: as of grpc.ssl_channel_credentials, for a server that speaks TLS.
    """

    actor: str = "client"
    token: str = ""
    credentials: grpc.ChannelCredentials | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns what is sent with each call."""
        sent = (("hypnogram-actor", self.actor),)
        return (*sent, ("authorization", f"Bearer {self.token}")) if self.token else sent


class Connection(Protocol):
    """What the calls are written against."""

    stubs: Stubs

    async def call(self, call: Call[T], request: Any, timeout: float | None, *, wait_for_ready: bool = False) -> T:
        """Returns the response; raises CallFailed. `timeout` is in seconds."""
        ...

    def stream(self, call: Stream[T], request: Any, timeout: float | None) -> AsyncGenerator[T, None]:
        """Yields the responses; raises CallFailed. Cancels the call when it is closed. `timeout` is in seconds."""
        ...


class Blocking:
    """A connection whose calls block the thread."""

    def __init__(self, address: str, how: Access) -> None:
        options = _options(how.max_message_bytes)
        if how.credentials is None:
            self.channel = grpc.insecure_channel(address, options=options)
        else:
            self.channel = grpc.secure_channel(address, how.credentials, options=options)
        self.stubs = Stubs(self.channel)
        self._metadata = how.metadata()

    async def call(self, call: Call[T], request: Any, timeout: float | None, *, wait_for_ready: bool = False) -> T:
        with failures():
            return call(request, timeout=timeout, metadata=self._metadata, wait_for_ready=wait_for_ready)

    async def stream(self, call: Stream[T], request: Any, timeout: float | None) -> AsyncGenerator[T, None]:
        responses: Any = call(request, timeout=timeout, metadata=self._metadata)
        try:
            with failures():
                for response in responses:
                    yield response
        finally:
            responses.cancel()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Returns the result of a coroutine whose awaits do not suspend."""
        try:
            call.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        call.close()
        raise RuntimeError("a call on a blocking connection waited for an event loop")

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """Yields the items of an asynchronous generator whose awaits do not suspend; closes it in the end."""
        try:
            while True:
                try:
                    item = self.run(items.__anext__())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self.run(items.aclose())


class Asyncio:
    """A connection whose calls suspend a task of the running event loop."""

    def __init__(self, address: str, how: Access) -> None:
        options = _options(how.max_message_bytes)
        if how.credentials is None:
            self.channel = grpc.aio.insecure_channel(address, options=options)
        else:
            self.channel = grpc.aio.secure_channel(address, how.credentials, options=options)
        self.stubs = Stubs(self.channel)
        self._metadata = how.metadata()

    async def call(self, call: Call[T], request: Any, timeout: float | None, *, wait_for_ready: bool = False) -> T:
        response: Any = call(request, timeout=timeout, metadata=self._metadata, wait_for_ready=wait_for_ready)
        with failures():
            answer: T = await response
            return answer

    async def stream(self, call: Stream[T], request: Any, timeout: float | None) -> AsyncGenerator[T, None]:
        responses: Any = call(request, timeout=timeout, metadata=self._metadata)
        try:
            with failures():
                async for response in responses:
                    yield response
        finally:
            responses.cancel()

    def run(self, call: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The coroutine itself, for `await`."""
        return call

    def iterate(self, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The generator itself, for `async for`."""
        return items


async def pages(
    connection: Connection, call: Call[T], request: Any, timeout: float | None, items: Callable[[T], Sequence[Item]]
) -> AsyncGenerator[Item, None]:
    """Yields the items of every page; `items` returns those of a response, `request.page_token` is set."""
    while True:
        page: Any = await connection.call(call, request, timeout)
        for item in items(page):
            yield item
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 200),  # of a server that is starting
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
