"""The Chat service: Chat and Complete share one generator; conversations are recorded beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hypnogram.v1 import chat_pb2, chat_pb2_grpc

from core.ids import MemoryId
from core.state.memory import Memory
from core.texts import without_blanks
from service.app.ports import Piece, Sampling
from service.app.stop_texts import until
from service.rpc.conversation.listing import Listing
from service.rpc.conversation.recording import Recorder
from service.rpc.dependencies import Dependencies
from service.rpc.interceptor import Context, current_cause
from service.rpc.messages import requests

FINISHES = {None: chat_pb2.FINISH_UNSPECIFIED, "stop": chat_pb2.FINISH_STOP, "length": chat_pb2.FINISH_LENGTH}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks to generate."""

    memory: MemoryId
    tokens: int
    at_version: int | None
    min_version: int
    sampling: Sampling | None
    stops: tuple[str, ...]


def _asked(request: chat_pb2.ChatRequest | chat_pb2.CompleteRequest) -> _Asked:
    at_version, min_version = requests.as_of(request)
    return _Asked(
        requests.memory_id(request.memory),
        requests.max_tokens(request.max_tokens),
        at_version,
        min_version or 0,
        requests.sampling(request),
        requests.stops(request.stop),
    )


class ChatServicer(chat_pb2_grpc.ChatServicer):
    """Generates text with the models."""

    def __init__(self, parts: Dependencies, max_streams: int) -> None:
        self._states = parts.states
        self._tail = parts.tail
        self._models = parts.models
        self._readiness = parts.readiness
        self._recorder = Recorder(parts)
        self._listing = Listing(parts)
        self._threads = ThreadPoolExecutor(max_streams, thread_name_prefix="generate")
        # of its own, so that past versions do not hold up the newest
        self._past_threads = ThreadPoolExecutor(max_streams, thread_name_prefix="generate-past")

    async def Chat(  # noqa: N802
        self, request: chat_pb2.ChatRequest, context: Context
    ) -> AsyncIterator[chat_pb2.ChatResponse]:
        messages, asked = requests.conversation(request.messages), _asked(request)
        spoken = await self._recorder.said(asked.memory, request)
        pieces: list[Piece] = []
        try:
            async for piece in self._generate(asked, messages, None):
                pieces.append(piece)
                yield chat_pb2.ChatResponse(
                    text=piece.text,
                    finish=FINISHES[piece.finish],
                    version=piece.version,
                    weights_digest=piece.weights,
                    prompt_tokens=piece.prompt_tokens,
                    tokens=piece.tokens,
                    conversation=spoken.conversation if spoken else "",
                    turn=spoken.turn if spoken else 0,
                )
        finally:
            if spoken is not None and pieces:
                await self._recorder.replied(asked.memory, spoken, pieces)
        if spoken is not None and (remembered := await self._recorder.remembered(asked.memory, spoken)) is not None:
            yield chat_pb2.ChatResponse(
                conversation=spoken.conversation, turn=spoken.turn, version=remembered.version, remembered=remembered
            )

    async def Complete(  # noqa: N802
        self, request: chat_pb2.CompleteRequest, context: Context
    ) -> AsyncIterator[chat_pb2.CompleteResponse]:
        prompt = requests.prompt(request.prompt)
        begun = without_blanks(prompt)
        blank = prompt != begun  # it counts as the blank that the model would generate first
        async for piece in self._generate(_asked(request), None, begun):
            text = piece.text.removeprefix(" ") if blank else piece.text
            blank = blank and not piece.text
            yield chat_pb2.CompleteResponse(
                text=text,
                finish=FINISHES[piece.finish],
                version=piece.version,
                weights_digest=piece.weights,
                prompt_tokens=piece.prompt_tokens,
                tokens=piece.tokens,
            )

    async def ListConversations(  # noqa: N802
        self, request: chat_pb2.ListConversationsRequest, context: Context
    ) -> chat_pb2.ListConversationsResponse:
        return await self._listing.conversations(request)

    async def ListTurns(  # noqa: N802
        self, request: chat_pb2.ListTurnsRequest, context: Context
    ) -> chat_pb2.ListTurnsResponse:
        return await self._listing.turns(request)

    async def EraseConversation(  # noqa: N802
        self, request: chat_pb2.EraseConversationRequest, context: Context
    ) -> chat_pb2.EraseConversationResponse:
        return await self._recorder.erase(request)

    async def close(self) -> None:
        """Waits until replies that were cut off are recorded, and ends the threads."""
        await self._recorder.finish()
        for threads in (self._threads, self._past_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _generate(
        self, asked: _Asked, messages: list[dict[str, str]] | None, prompt: str | None
    ) -> AsyncGenerator[Piece, None]:
        if asked.at_version is None:
            self._readiness.ask(asked.memory)
            await self._wait_until_written(asked.memory, asked.min_version)
        pieces = self._models.generate(
            asked.memory,
            messages=messages,
            prompt=prompt,
            max_tokens=asked.tokens,
            at_version=asked.at_version,
            sampling=asked.sampling,
            client=current_cause().actor,
        )
        threads = self._threads if asked.at_version is None else self._past_threads
        async for piece in drained(until(pieces, asked.stops), threads):
            yield piece

    async def _wait_until_written(self, memory: MemoryId, version: int) -> None:
        """Returns once no fact added up to `version` is pending: each is in the weights, or parked."""
        while True:
            position = self._tail.position
            state = await asyncio.to_thread(self._states.at, memory, None, version)
            if not _has_pending(state, version):
                return
            await self._tail.wait_past(position)


def _has_pending(state: Memory, version: int) -> bool:
    return any(state.facts[fact].added <= version for fact in state.pending)


async def drained(pieces: Generator[Piece, None, None], threads: ThreadPoolExecutor) -> AsyncIterator[Piece]:
    """Yields `pieces`, computed in one thread from the first to the last; stops computing when the caller stops."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Piece | None] = asyncio.Queue()
    unwanted = threading.Event()

    def drain() -> None:
        try:
            for piece in pieces:
                if unwanted.is_set():
                    return
                loop.call_soon_threadsafe(queue.put_nowait, piece)
        finally:
            pieces.close()  # at once, because the generator may hold the model
            if not unwanted.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, None)

    draining = loop.run_in_executor(threads, drain)
    try:
        while (piece := await queue.get()) is not None:
            yield piece
        await draining
    finally:
        unwanted.set()
        draining.cancel()
