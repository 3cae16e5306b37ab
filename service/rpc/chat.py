"""The Chat service: Chat and Complete share one generator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor

from hypnogram.v1 import chat_pb2, chat_pb2_grpc

from core.ids import MemoryId
from core.state.memory import Memory
from core.texts import without_blanks
from service.app.ports import ModelHost, Piece
from service.app.repository import MemoryRepository
from service.app.stop_texts import until
from service.rpc.interceptor import Context
from service.rpc.log_tail import LogTail
from service.rpc.messages import requests

FINISHES = {None: chat_pb2.FINISH_UNSPECIFIED, "stop": chat_pb2.FINISH_STOP, "length": chat_pb2.FINISH_LENGTH}


class ChatServicer(chat_pb2_grpc.ChatServicer):
    """Generates text with the models."""

    def __init__(self, states: MemoryRepository, tail: LogTail, models: ModelHost, max_streams: int) -> None:
        self._states = states
        self._tail = tail
        self._models = models
        self._threads = ThreadPoolExecutor(max_streams, thread_name_prefix="generate")
        self._past_threads = ThreadPoolExecutor(
            max_streams, thread_name_prefix="remember"
        )  # so that past versions do not hold up the newest

    async def Chat(  # noqa: N802
        self, request: chat_pb2.ChatRequest, context: Context
    ) -> AsyncIterator[chat_pb2.ChatResponse]:
        messages = requests.conversation(request.messages)
        async for piece in self._generate(request, messages, None):
            yield chat_pb2.ChatResponse(
                text=piece.text,
                finish=FINISHES[piece.finish],
                version=piece.version,
                weights_digest=piece.weights,
                prompt_tokens=piece.prompt_tokens,
                tokens=piece.tokens,
            )

    async def Complete(  # noqa: N802
        self, request: chat_pb2.CompleteRequest, context: Context
    ) -> AsyncIterator[chat_pb2.CompleteResponse]:
        prompt = requests.prompt(request.prompt)
        begun = without_blanks(prompt)
        blank = prompt != begun  # it counts as the blank that the model would generate first
        async for piece in self._generate(request, None, begun):
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

    def close(self) -> None:
        for threads in (self._threads, self._past_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _generate(
        self,
        request: chat_pb2.ChatRequest | chat_pb2.CompleteRequest,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
    ) -> AsyncIterator[Piece]:
        memory = requests.memory_id(request.memory)
        tokens = requests.max_tokens(request.max_tokens)
        sampling, stops = requests.sampling(request), requests.stops(request.stop)
        at_version, min_version = requests.as_of(request)
        if at_version is None:
            await self._wait_until_written(memory, min_version or 0)
        pieces = self._models.generate(
            memory, messages=messages, prompt=prompt, max_tokens=tokens, at_version=at_version, sampling=sampling
        )
        async for piece in drained(until(pieces, stops), self._threads if at_version is None else self._past_threads):
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
