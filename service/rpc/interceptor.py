"""Wraps every call: reads who acts, logs how the call ends, and turns errors into statuses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import grpc
import structlog
from google.rpc import status_pb2
from grpc import aio
from grpc_health.v1 import health_pb2

from core.errors.base import HypnogramError, InvalidField
from core.events import Cause
from service import tracing
from service.guard.door import Door
from service.guard.rights import Caller, Right
from service.guard.withheld import error_without_places
from service.rpc.rights import GENERATES, TELL_TEXT, facts_found, facts_told, needs
from service.rpc.status import DETAILS_KEY, ShuttingDown, note_unreachable, status_of, status_of_failure

if TYPE_CHECKING:
    from opentelemetry.trace import Span

ACTOR_KEY = "hypnogram-actor"
CORRELATION_KEY = "hypnogram-correlation"
AUTHORIZATION = "authorization"
MAX_HEADER = 200  # characters
RECOGNIZED_SECONDS = 5.0  # after which it is looked up again whether a stream would be let in
OPEN = ("/grpc.reflection.",)  # to everyone: what the contract is
HEALTH = "/grpc.health."
NOT_ADMITTED = Caller("")
CANCELLED = (asyncio.CancelledError, GeneratorExit)  # by whoever called, or because the server stops
CODE_OF_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
LATE = status_pb2.Status(
    code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0], message="the deadline passed; what was appended stays"
)

log = structlog.get_logger()

_cause: ContextVar[Cause] = ContextVar("cause")
_caller: ContextVar[Caller] = ContextVar("caller")

Context = aio.ServicerContext[Any, Any]
T = TypeVar("T")


def current_cause(request: str = "") -> Cause:
    """Returns the cause of the events that the current call appends."""
    cause = _cause.get()
    return Cause(actor=cause.actor, request=request, correlation=cause.correlation)


def current_caller() -> Caller:
    """Returns who makes the current call."""
    return _caller.get()


class CallInterceptor(aio.ServerInterceptor):
    """Wraps the handlers of this project's services and of google.longrunning, and guards the health of memories."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(OPEN):
            return handler
        make = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
        behaviour: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary
        assert behaviour is not None, f"{method} streams its requests, which is not guarded"
        if method.startswith(HEALTH):
            wrapped: Any = self._health(behaviour)
        else:
            wrapped = (self._streaming if handler.response_streaming else self._single)(behaviour, method)
        return make(wrapped, handler.request_deserializer, handler.response_serializer)

    def _single(self, behaviour: Any, method: str) -> Callable[[Any, Context], Awaitable[Any]]:
        async def call(request: Any, context: Context) -> Any:
            async with _Attempted(method, self._door, request, context) as attempt:
                return attempt.responded(method, request, await behaviour(request, context))

        return call

    def _streaming(self, behaviour: Any, method: str) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with _Attempted(method, self._door, request, context) as attempt:
                answers = behaviour(request, context)
                try:
                    async for answer in answers:
                        await attempt.still_allowed()
                        yield answer
                finally:
                    await answers.aclose()

        return call

    def _health(self, behaviour: Any) -> Callable[[Any, Context], Awaitable[Any]]:
        """Wraps a call of grpc.health.v1: all may know the server's health, readers of a memory that memory's."""

        async def call(request: Any, context: Context) -> Any:
            if not isinstance(request, health_pb2.HealthCheckRequest):
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "ask for the health of one service")
            memory = request.service.partition("/")[2]
            if memory and await self._door.required():
                try:
                    (await self._door.recognized(_given(context).get(AUTHORIZATION, ""))).check(Right.READ, memory)
                except HypnogramError as error:
                    await _abort(context, status_of(error))
            return await behaviour(request, context)

        return call


class Attempt:
    """One call, over gRPC or HTTP, from who makes it to how it ends."""

    def __init__(self, name: str, door: Door) -> None:
        self.correlation = str(uuid.uuid4())
        self.ended = False
        self._name = name
        self._door = door
        self._began = self._recognized = time.perf_counter()
        self._authorization = ""
        self._caller = NOT_ADMITTED
        self._span: Span | None = None
        self._generating = 0
        self._told: set[str] = (
            set()
        )  # ids of the requests whose facts are counted, because a call inside may repeat one

    async def begin(self, headers: Mapping[str, Any], address: str) -> None:
        """Lets the caller in, and notes who it is for the log, `current_caller` and `current_cause`.

        Raises:
            InvalidField: a header is not text.
            Unauthenticated, TooManyCalls: the caller is not let in.
        """
        self._span = tracing.begin_call(self._name, headers)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(call=self._name, correlation=self.correlation)
        actor, correlation = _header(headers, ACTOR_KEY) or "client", _header(headers, CORRELATION_KEY)
        self._authorization = str(headers.get(AUTHORIZATION, ""))
        self._caller = await self._door.admit(self._authorization, address)
        _caller.set(self._caller)
        actor = self._caller.token.actor if self._caller.token else actor
        _cause.set(Cause(actor=actor, correlation=correlation or tracing.name_of(self._span)))

    def allow(self, method: str, request: Any) -> None:
        """Checks that the caller may make this call of the contract, and counts what it asks for.

        Raises:
            NotPermitted, TooManyBytes, TooManyFacts, TooManyAnswers: it may not, or not now.
        """
        for right, memory in needs(method, request):
            self._caller.check(right, memory)
        self._door.limits.bytes.use(self._caller.client, request.ByteSize())
        if (facts := facts_told(method, request)) and request.request_id not in self._told:
            self._door.limits.facts.use(self._caller.client, facts)
        if method in GENERATES:
            self._door.limits.begin_answer(self._caller.client)
            self._generating += 1

    def responded(self, method: str, request: Any, response: T) -> T:
        """Returns the response, and counts the facts that were found in what it responds to."""
        if facts_told(method, request) and request.request_id not in self._told:
            self._told |= {request.request_id} - {""}
            if method == TELL_TEXT:
                self._door.limits.facts.add(self._caller.client, facts_found(response))
        return response

    def answered(self) -> None:
        """Notes that an answer which this call generates is complete."""
        if self._generating:
            self._generating -= 1
            self._door.limits.end_answer(self._caller.client)

    async def still_allowed(self) -> None:
        """Returns where a call that lasts would still be let in: its token was not revoked, or none is needed yet.

        Raises Unauthenticated.
        """
        now = time.perf_counter()
        if now - self._recognized > RECOGNIZED_SECONDS:
            if await self._door.required():
                await self._door.recognized(self._authorization)
            self._recognized = now

    def end(self, error: BaseException | None = None) -> status_pb2.Status | None:
        """Logs how the call ended; returns the status that the caller is to be told, None where there is none.

        Of an error the reason alone is logged, because a message may quote a client's words, which must stay erasable.
        """
        status, reason = None, ""
        if not self.ended:
            note_unreachable(error, self.correlation)
        if not self._caller.may_create:
            error = error_without_places(error)
        if isinstance(error, HypnogramError):
            status, reason = status_of(error), error.reason
        elif isinstance(error, TimeoutError):
            status = LATE
        elif isinstance(error, CANCELLED) and self._door.closing:
            status, reason = status_of(ShuttingDown()), ShuttingDown.reason
        elif isinstance(error, Exception) and not isinstance(error, aio.AbortError):
            status, reason = status_of_failure(error, self.correlation)
        while self._generating:
            self.answered()
        if not self.ended:
            self._log(_code(error, status), **({"reason": reason} if reason else {}))
        self.ended = True
        return status

    def _log(self, code: str, **values: str) -> None:
        seconds = time.perf_counter() - self._began
        about = {"call": self._name, "correlation": self.correlation}  # also where another task has begun it
        log.info("call.ended", **about, code=code, milliseconds=round(seconds * 1000, 1), **values)
        tracing.end_call(self._span, code, self.correlation)
        for observe in self._door.observers:
            observe(self._name, code, seconds)


def _code(error: BaseException | None, status: status_pb2.Status | None) -> str:
    """Returns gRPC's name for how a call ended."""
    if status is not None:
        return CODE_OF_NUMBER[status.code].name
    return "OK" if error is None else "CANCELLED"


class _Attempted:
    """One call over gRPC: errors become its status."""

    def __init__(self, method: str, door: Door, request: Any, context: Context) -> None:
        self._attempt = Attempt(method, door)
        self._method = method
        self._request = request
        self._context = context

    async def __aenter__(self) -> Attempt:
        try:
            await self._attempt.begin(_given(self._context), _address(self._context.peer()))
            self._attempt.allow(self._method, self._request)
        except BaseException as error:  # any, because a client may go while it is let in
            await self._end(error)
            raise
        return self._attempt

    async def __aexit__(self, _: Any, error: BaseException | None, traceback: Any) -> None:
        await self._end(error)

    async def _end(self, error: BaseException | None) -> None:
        status = self._attempt.end(error)
        if status is not None and not isinstance(error, CANCELLED):
            await _abort(self._context, status)


async def _abort(context: Context, status: status_pb2.Status) -> None:
    code = CODE_OF_NUMBER[status.code]
    await context.abort(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))


def _given(context: Context) -> dict[str, Any]:
    """Returns the metadata of a call."""
    return {str(key): value for key, value in context.invocation_metadata() or ()}


def _address(peer: str) -> str:
    """Returns the address of a peer, "ipv4:127.0.0.1:4000" or "ipv6:%5B::1%5D:4000", as HTTP has it."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]") or peer


def _header(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_HEADER or not value.isprintable():
        raise InvalidField(key, f"is not printable text of at most {MAX_HEADER} characters")
    return value
