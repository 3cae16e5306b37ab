"""Answers in OpenAI's form: whole ones, and chunks of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from hypnogram.v1 import chat_pb2

from core.ids import MemoryId

FINISHES = {chat_pb2.FINISH_STOP: "stop", chat_pb2.FINISH_LENGTH: "length"}
Said = chat_pb2.ChatResponse | chat_pb2.CompleteResponse


@dataclass(frozen=True)
class Form:
    """The form of one answer: of a chat or of a continuation of text."""

    kind: Literal["chat", "text"]
    memory: MemoryId
    created: int = field(default_factory=lambda: int(time.time()))
    number: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def whole(self, said: AsyncIterator[Said]) -> dict[str, Any]:
        """Returns the answer once all of it is said."""
        texts: list[str] = []
        last: Said = chat_pb2.ChatResponse()
        recorded: dict[str, Any] = {}
        async for piece in said:
            recorded = _recorded(piece)
            if "remembered" not in recorded:
                texts.append(piece.text)
                last = piece
        text, finish = "".join(texts), FINISHES.get(last.finish)
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        if self.kind == "chat":
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        kind = "chat.completion" if self.kind == "chat" else "text_completion"
        return self._head(kind, last) | {"choices": [choice], "usage": _usage(last)} | recorded

    async def chunks(self, said: AsyncIterator[Said], *, usage: bool) -> AsyncIterator[dict[str, Any]]:
        """Yields the answer as it is said, and with `usage` the number of its tokens after its end."""
        kind = "chat.completion.chunk" if self.kind == "chat" else "text_completion"
        last: Said | None = None
        async for piece in said:
            recorded = _recorded(piece)
            if "remembered" in recorded and last is not None:
                yield self._head(kind, last) | {"choices": []} | recorded
                continue
            head = self._head(kind, piece) | ({"usage": None} if usage else {}) | recorded
            if last is None and self.kind == "chat":
                yield head | {"choices": [self._choice({"role": "assistant", "content": ""}, None)]}
            if piece.text:
                yield head | {"choices": [self._choice({"content": piece.text}, None)]}
            if finish := FINISHES.get(piece.finish):
                yield head | {"choices": [self._choice({}, finish)]}
            last = piece
        if usage and last is not None:
            yield self._head(kind, last) | {"choices": [], "usage": _usage(last)}

    def _choice(self, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": None}
        return choice | ({"delta": delta} if self.kind == "chat" else {"text": delta.get("content", "")})

    def _head(self, kind: str, said: Said) -> dict[str, Any]:
        """Names the version that answers, so that it can be asked again."""
        return {
            "id": f"{'chatcmpl' if self.kind == 'chat' else 'cmpl'}-{self.number}",
            "object": kind,
            "created": self.created,
            "model": f"{self.memory}@{said.version}",
            "system_fingerprint": said.weights_digest,
        }


def _recorded(said: Said) -> dict[str, Any]:
    """Returns the conversation and turn of a chat that is recorded, and in the end what was remembered of it."""
    if not isinstance(said, chat_pb2.ChatResponse) or not said.conversation:
        return {}
    recorded: dict[str, Any] = {"conversation": said.conversation, "turn": said.turn}
    if said.HasField("remembered"):
        recorded["remembered"] = MessageToDict(said.remembered, preserving_proto_field_name=True)
    return recorded


def _usage(said: Said) -> dict[str, int]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.tokens,
        "total_tokens": said.prompt_tokens + said.tokens,
    }
