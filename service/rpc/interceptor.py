"""Wraps every call: reads who acts, logs how the call ends, and turns errors into statuses."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
LATE = status_pb2.Status(
    code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="the deadline passed; what was appended stays"
)

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


class Attempt:
    """One call, over gRPC or HTTP, from who makes it to how it ends."""

    def __init__(self, name: str) -> None:
        self.correlation = str(uuid.uuid4())
        self.ended = False
        self._name = name
        self._began = time.perf_counter()

    def begin(self, headers: Mapping[str, Any]) -> None:
        """Reads who calls, for the log and for `current_cause`. Raises InvalidField."""
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(call=self._name, correlation=self.correlation)
        actor, correlation = _header(headers, ACTOR_KEY) or "client", _header(headers, CORRELATION_KEY)
        _caller.set(Cause(actor=actor, correlation=correlation))

    def end(self, error: BaseException | None = None) -> status_pb2.Status | None:
        """Logs how the call ended; returns the status that the caller is to be told, None where there is none.

        Of an error the reason alone is logged, because a message may quote a client's words, which must stay erasable.
        """
        status, reason = None, ""
        if isinstance(error, HypnogramError):
            status, reason = status_of(error), error.reason
        elif isinstance(error, TimeoutError):
            status = LATE
        elif isinstance(error, Exception) and not isinstance(error, aio.AbortError):
            status, reason = status_of_failure(error, self.correlation)
        if not self.ended:
            self._log(_code(error, status), **({"reason": reason} if reason else {}))
        self.ended = True
        return status

    def _log(self, code: str, **values: str) -> None:
        milliseconds = round((time.perf_counter() - self._began) * 1000, 1)
        log.info("call.ended", code=code, milliseconds=milliseconds, **values)


def _code(error: BaseException | None, status: status_pb2.Status | None) -> str:
    """Returns gRPC's name for how a call ended."""
    if status is not None:
        return CODE_OF_NUMBER[status.code].name
    return "OK" if error is None else "CANCELLED"


class _Attempted:
    """One call over gRPC: errors become its status."""

    def __init__(self, method: str, context: Context) -> None:
        self._attempt = Attempt(method)
        self._context = context

    async def __aenter__(self) -> None:
        try:
            self._attempt.begin({str(key): value for key, value in self._context.invocation_metadata() or ()})
        except Exception as error:
            await self._abort(error)

    async def __aexit__(self, _: Any, error: BaseException | None, traceback: Any) -> None:
        await self._abort(error)

    async def _abort(self, error: BaseException | None) -> None:
        status = self._attempt.end(error)
        if status is not None:
            code = CODE_OF_NUMBER[status.code]
            await self._context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))


def _header(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_HEADER or not value.isprintable():
        raise InvalidField(key, f"is not printable text of at most {MAX_HEADER} characters")
    return value
