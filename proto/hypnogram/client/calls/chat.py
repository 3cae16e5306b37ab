"""The calls of Chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from hypnogram.v1 import chat_pb2

from hypnogram.client.connections import Connection, pages


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
    conversation: str = "",
    remember: str = "",
    timeout: float | None = 600,
) -> AsyncGenerator[chat_pb2.ChatResponse, None]:
    """Yields the model's answer piece by piece, then what was remembered of the last message if it is to be read.

    `messages` is what the user says, or a conversation of {"role": ..., "content": ...}; `remember` is "off", "ask" or
    "on", or empty for what the memory was created with.
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
        conversation=conversation,
        remember=chat_pb2.Remember.Value(f"REMEMBER_{remember.upper() or 'UNSPECIFIED'}"),
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


def conversations(
    connection: Connection, memory: str, timeout: float | None = 60
) -> AsyncGenerator[chat_pb2.Conversation, None]:
    """Yields the conversations with a memory in the order begun."""
    request = chat_pb2.ListConversationsRequest(memory=memory)
    return pages(connection, connection.stubs.chat.ListConversations, request, timeout, lambda page: page.conversations)


def turns(
    connection: Connection, memory: str, conversation: str, timeout: float | None = 60
) -> AsyncGenerator[chat_pb2.Turn, None]:
    """Yields the turns of a conversation in order."""
    request = chat_pb2.ListTurnsRequest(memory=memory, conversation=conversation)
    return pages(connection, connection.stubs.chat.ListTurns, request, timeout, lambda page: page.turns)


async def erase_conversation(
    connection: Connection,
    memory: str,
    conversation: str,
    *,
    facts: bool = False,
    wait: bool = False,
    timeout: float | None = 60,
) -> chat_pb2.EraseConversationResponse:
    """Erases the texts of a conversation and, with `facts`, the facts that were learned from it."""
    request = chat_pb2.EraseConversationRequest(memory=memory, conversation=conversation, facts=facts, wait=wait)
    return await connection.call(connection.stubs.chat.EraseConversation, request, timeout)
