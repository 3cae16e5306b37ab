"""The routes of OpenAI's API, each a call of a servicer in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar, cast

from hypnogram.v1 import chat_pb2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.guard.rights import Caller, Right
from service.rpc.interceptor import Attempt, current_caller
from service.rpc.server import Served
from service.web import models
from service.web.answers import Form, Said
from service.web.bodies import ChatBody, CompletionBody, from_headers, read_json
from service.web.calls import FAILURES, begin, end_failed, refused_call, unless_gone
from service.web.failures import described
from service.web.inside import NO_CONTEXT
from store.log.named_versions import NamedVersions

CHAT, COMPLETE = "/hypnogram.v1.Chat/Chat", "/hypnogram.v1.Chat/Complete"

T = TypeVar("T")


class Gateway:
    """Serves models, chats and continuations."""

    def __init__(self, served: Served, max_bytes: int) -> None:
        self._parts = served.parts
        self._names = NamedVersions(served.parts.store.log)
        self._chat = served.chat
        self._door = served.door
        self._max_bytes = max_bytes

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.models),
            Route("/v1/models/{model:path}", self.model),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.complete, methods=["POST"]),
        ]

    async def models(self, request: Request) -> Response:
        attempt = Attempt(request.url.path, self._door)

        def find(caller: Caller) -> list[dict[str, Any]]:
            memories = [listed for listed in self._parts.store.log.listed() if not listed.deleted]
            allowed = [listed for listed in memories if caller.may(Right.READ, listed.memory)]
            return models.models(self._names, allowed)

        async def answer() -> dict[str, Any]:
            await begin(attempt, request)
            return {"object": "list", "data": await asyncio.to_thread(find, current_caller())}

        return await _answered(request, attempt, answer())

    async def model(self, request: Request) -> Response:
        attempt, name = Attempt("/v1/models/{model}", self._door), request.path_params["model"]

        async def answer() -> dict[str, Any]:
            await begin(attempt, request)
            models.readable(attempt, name)
            return await asyncio.to_thread(models.model, self._parts, name)

        return await _answered(request, attempt, answer())

    async def chat(self, request: Request) -> Response:
        return await self._generated(request, ChatBody)

    async def complete(self, request: Request) -> Response:
        return await self._generated(request, CompletionBody)

    async def _generated(self, request: Request, kind: type[ChatBody | CompletionBody]) -> Response:
        attempt = Attempt(request.url.path, self._door)
        try:
            await begin(attempt, request)
            given = await read_json(request, self._max_bytes)
            body = kind.parse((from_headers(request.headers) if kind is ChatBody else {}) | given)
            asked = body.request(memory := models.memory_of(body.model))
            attempt.allow(CHAT if kind is ChatBody else COMPLETE, asked)
            version = await asyncio.to_thread(models.version_of, self._parts, body.model)
            if version is not None:
                asked.at_version = version
            form, said = Form("chat" if kind is ChatBody else "text", memory), self._said(asked)
            if not body.stream:
                return await _answered(request, attempt, form.whole(said))
            first = await unless_gone(request, anext(said))  # first, so that a refusal has its status
        except FAILURES as error:
            return refused_call(attempt, error)
        chunks = form.chunks(_again(first, said), usage=body.stream_options.include_usage)
        return _Streamed(attempt, said, chunks)

    def _said(self, asked: chat_pb2.ChatRequest | chat_pb2.CompleteRequest) -> AsyncGenerator[Said, None]:
        said: Any
        if isinstance(asked, chat_pb2.ChatRequest):
            said = self._chat.Chat(asked, NO_CONTEXT)
        else:
            said = self._chat.Complete(asked, NO_CONTEXT)
        return cast("AsyncGenerator[Said, None]", said)


class _Streamed(StreamingResponse):
    """Server-sent events; the model stops when the client goes."""

    def __init__(
        self, attempt: Attempt, said: AsyncGenerator[Said, None], chunks: AsyncIterator[dict[str, Any]]
    ) -> None:
        super().__init__(
            _events(attempt, chunks),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-request-id": attempt.correlation},
        )
        self._attempt = attempt
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._said.aclose()
            if not self._attempt.ended:
                self._attempt.end(asyncio.CancelledError())


async def _events(attempt: Attempt, chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    """Yields chunks as events, and an error as the last one."""
    try:
        async for chunk in chunks:
            await attempt.still_allowed()
            yield _event(chunk)
    except Exception as error:
        if (status := end_failed(attempt, error)) is not None:
            yield _event(described(status))
    else:
        attempt.end()
        yield "data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


async def _again(first: Said, rest: AsyncIterator[Said]) -> AsyncIterator[Said]:
    yield first
    async for piece in rest:
        yield piece


async def _answered(request: Request, attempt: Attempt, answer: Coroutine[Any, Any, dict[str, Any]]) -> Response:
    """Returns the answer, unless the client goes before it is complete."""
    try:
        content = await unless_gone(request, answer)
    except FAILURES as error:
        return refused_call(attempt, error)
    attempt.end()
    return JSONResponse(content, headers={"x-request-id": attempt.correlation})
