"""The calls of Chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from hypnogram.v1 import chat_pb2

from hypnogram.client.connections import Connection


def chat(
    connection: Connection,
    memory: str,
    messages: str | Sequence[Mapping[str, str]],
    *,
    max_tokens: int = 0,
    min_version: int | None = None,
    at_version: int | None = None,
    temperature: float = 0.0,
    top_p: float | None = None,
    seed: int | None = None,
    stop: Sequence[str] = (),
    timeout: float | None = 600,
) -> AsyncGenerator[chat_pb2.ChatResponse, None]:
    """Yields the model's answer piece by piece.

    `messages` is what the user says, or a conversation of {"role": ..., "content": ...}.
    """
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    request = chat_pb2.ChatRequest(
        memory=memory,
        messages=[chat_pb2.Message(role=turn["role"], content=turn["content"]) for turn in turns],
        max_tokens=max_tokens,
        min_version=min_version,
        at_version=at_version,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
    )
    return connection.stream(connection.stubs.chat.Chat, request, timeout)


def complete(
    connection: Connection,
    memory: str,
    prompt: str,
    *,
    max_tokens: int = 0,
    min_version: int | None = None,
    at_version: int | None = None,
    temperature: float = 0.0,
    top_p: float | None = None,
    seed: int | None = None,
    stop: Sequence[str] = (),
    timeout: float | None = 600,
) -> AsyncGenerator[chat_pb2.CompleteResponse, None]:
    """Yields the model's continuation of `prompt` piece by piece."""
    request = chat_pb2.CompleteRequest(
        memory=memory,
        prompt=prompt,
        max_tokens=max_tokens,
        min_version=min_version,
        at_version=at_version,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
    )
    return connection.stream(connection.stubs.chat.Complete, request, timeout)
