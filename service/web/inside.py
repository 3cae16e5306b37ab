"""The calls of `hypnogram.client`, made to the servicers of this process as the caller of one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from hypnogram.client.client import Calls
from hypnogram.client.connections import Asyncio
from hypnogram.client.stubs import Stubs
from service.rpc.interceptor import Attempt, Context

NO_CONTEXT = cast("Context", None)  # servicers read nothing of it


def inside(attempt: Attempt, servicers: Mapping[str, object]) -> Calls[Asyncio]:
    """Returns a client that may do what the caller of `attempt` may; its calls raise HypnogramError.

    Args:
        servicers: by the full name of their service.
    """
    return Calls("", _Inside(attempt, servicers))


class _Channel:
    """Stands in for a channel: the calls of stubs on it are the names of their methods."""

    def unary_unary(self, method: str, **_: Any) -> str:
        return method

    unary_stream = unary_unary


class _Inside(Asyncio):
    """A connection to servicers."""

    def __init__(self, attempt: Attempt, servicers: Mapping[str, object]) -> None:
        self.stubs = Stubs(_Channel())
        self._attempt = attempt
        self._servicers = servicers

    async def call(self, call: Any, request: Any, timeout: float | None, *, wait_for_ready: bool = False) -> Any:
        self._attempt.allow(call, request)
        async with asyncio.timeout(timeout):
            return self._attempt.responded(call, request, await self._behaviour(call)(request, NO_CONTEXT))

    async def stream(self, call: Any, request: Any, timeout: float | None) -> AsyncGenerator[Any, None]:
        self._attempt.allow(call, request)
        responses = self._behaviour(call)(request, NO_CONTEXT)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()
            self._attempt.answered()

    def _behaviour(self, method: str) -> Any:
        _, service, name = method.split("/")
        return getattr(self._servicers[service], name)
