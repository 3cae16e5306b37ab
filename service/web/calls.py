"""A call over HTTP, from who makes it to how it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from google.rpc import status_pb2
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core.errors.base import InvalidField
from service.rpc.interceptor import Attempt
from service.web.failures import failed

T = TypeVar("T")
GONE = 499  # status of a response that has no reader any more
FAILURES = (Exception, asyncio.CancelledError)  # the latter where the server stops before a request is answered


async def begin(attempt: Attempt, request: Request) -> None:
    """Lets the caller in. Raises what `Attempt.begin` raises."""
    await attempt.begin(request.headers, address_of(request))


def address_of(request: Request) -> str:
    """Returns from where a request comes."""
    return request.client.host if request.client else ""


def end_failed(attempt: Attempt, error: BaseException) -> status_pb2.Status | None:
    """Ends a call that failed; returns the status that the client is to be told, None where it is gone."""
    if isinstance(error, ClientDisconnect):
        return attempt.end(asyncio.CancelledError())
    if isinstance(error, HTTPException):  # of what is read of a request before it is parsed
        return attempt.end(InvalidField("body", error.detail))
    return attempt.end(error)


def refused_call(attempt: Attempt, error: BaseException) -> Response:
    """Returns the response to a call that failed, and ends it. Raises HTTPException where it was one."""
    status = end_failed(attempt, error)
    if isinstance(error, HTTPException):
        raise error
    return Response(status_code=GONE) if status is None else failed(status, attempt.correlation)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Returns the result of `work`. Raises ClientDisconnect, and cancels it, when the client goes before."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
