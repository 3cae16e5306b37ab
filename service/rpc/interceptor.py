"""Wraps every call: reads who acts, logs how the call ends, and turns errors into statuses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2
from grpc import aio

from core.errors.base import HypnogramError, InvalidField
from core.events import Cause
from service.rpc.status import DETAILS_KEY, status_of, status_of_failure

ACTOR_KEY = "hypnogram-actor"
CORRELATION_KEY = "hypnogram-correlation"
MAX_HEADER = 200  # characters
CODE_OF_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

log = structlog.get_logger()

_caller: ContextVar[Cause] = ContextVar("caller")

Context = aio.ServicerContext[Any, Any]


def current_cause(request: str = "") -> Cause:
    """Returns the cause of the events that the current call appends."""
    caller = _caller.get()
    return Cause(actor=caller.actor, request=request, correlation=caller.correlation)


class CallInterceptor(aio.ServerInterceptor):
    """Wraps the handlers of this project's services and of google.longrunning."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_streaming or not method.startswith(("/hypnogram.", "/google.")):
            return handler
        make = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
        wrapped = (
            _streaming(handler.unary_stream, method)
            if handler.response_streaming
            else _single(handler.unary_unary, method)
        )
        return make(wrapped, handler.request_deserializer, handler.response_serializer)


def _single(behaviour: Any, method: str) -> Callable[[Any, Context], Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        async with _Attempted(method, context):
            return await behaviour(request, context)

    return call


def _streaming(behaviour: Any, method: str) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        async with _Attempted(method, context):
            answers = behaviour(request, context)
            try:
                async for answer in answers:
                    yield answer
            finally:
                await answers.aclose()

    return call


class _Attempted:
    """One call, from its metadata to its status."""

    def __init__(self, method: str, context: Context) -> None:
        self._method = method
        self._context = context
        self._correlation = str(uuid.uuid4())
        self._began = time.perf_counter()

    async def __aenter__(self) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(call=self._method, correlation=self._correlation)
        try:
            given = {str(key): value for key, value in self._context.invocation_metadata() or ()}
            actor = _header(given, ACTOR_KEY) or "client"
            correlation = _header(given, CORRELATION_KEY)
        except InvalidField as error:
            await self._abort(status_of(error), error.reason)
        _caller.set(Cause(actor=actor, correlation=correlation))

    async def __aexit__(self, _: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            self._log("OK")
        elif isinstance(error, HypnogramError):
            await self._abort(status_of(error), error.reason)
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self._log("CANCELLED")
        elif isinstance(error, TimeoutError):
            self._log("DEADLINE_EXCEEDED")
            await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed; what was appended stays")
        elif isinstance(error, Exception) and not isinstance(error, aio.AbortError):
            await self._abort(*status_of_failure(error, self._correlation))

    async def _abort(self, status: status_pb2.Status, reason: str) -> None:
        """Logs the reason alone, because a message may quote a client's words, which must stay erasable."""
        code = CODE_OF_NUMBER[status.code]
        self._log(code.name, reason=reason)
        await self._context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))

    def _log(self, code: str, **values: str) -> None:
        milliseconds = round((time.perf_counter() - self._began) * 1000, 1)
        log.info("call.ended", code=code, milliseconds=milliseconds, **values)


def _header(given: dict[str, Any], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_HEADER or not value.isprintable():
        raise InvalidField(key, f"is not printable text of at most {MAX_HEADER} characters")
    return value
