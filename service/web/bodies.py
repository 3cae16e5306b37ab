"""Parses the bodies of OpenAI's requests, and says the same in messages of the contract.

What OpenAI knows and a memory does not do is refused, unless it says what happens anyway, as `n: 1` does. Fields that
only concern OpenAI's own service are ignored, and so is what a message has beside its role and content, because clients
send answers back as they got them. Other fields are refused if they are unknown, as OpenAI refuses them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from hypnogram.v1 import chat_pb2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from core.errors.base import InvalidField
from service.rpc.messages.requests import MAX_SEED, MAX_TOKENS

HEADERS = {"conversation": "hypnogram-conversation", "remember": "hypnogram-remember"}  # of a chat, by field
COMPLETION_TOKENS = 16  # of a continuation whose request names no number, as at OpenAI
IGNORED = frozenset(
    """metadata parallel_tool_calls prediction prompt_cache_key prompt_cache_retention reasoning_effort
    safety_identifier service_tier store user verbosity""".split()
)
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}  # values of fields that ask for nothing else than what is done


def from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the fields that clients which cannot send them in the body send as headers."""
    return {field: headers[name] for field, name in HEADERS.items() if name in headers}


def media_type(request: Request) -> str:
    """Returns the type of the body of a request, without its parameters; empty where none is sent."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """Returns the body of a request. Raises HTTPException where it has over `limit` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise HTTPException(413, f"the request has over {limit} bytes (HYPNOGRAM_MAX_MESSAGE_BYTES)")
    return bytes(body)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """Returns the JSON object in the body, of at most `limit` bytes.

    Raises:
        HTTPException: the body is too large, or not sent as JSON, as a form on a page of another site would not be.
        InvalidField: it is not a JSON object.
    """
    if media_type(request) != "application/json":
        raise HTTPException(415, "send the request as JSON, with the header 'Content-Type: application/json'")
    try:
        given = json.loads(await read_body(request, limit))
        json.dumps(given, ensure_ascii=False).encode()  # refuses halves of surrogate pairs, which are not text
    except (ValueError, RecursionError):
        raise InvalidField("body", "is not JSON of valid text; send a JSON object") from None
    if not isinstance(given, dict):
        raise InvalidField("body", "is not a JSON object")
    return given


def _is_neutral(name: str, value: Any) -> bool:
    """Whether a field asks for nothing else than what is done; false and 0 are not the same."""
    return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in NEUTRAL[name])


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _in_parts(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["text"]
    text: str


class _Turn(BaseModel):
    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[list[_Part], BeforeValidator(_in_parts)]

    def message(self) -> chat_pb2.Message:
        role = "system" if self.role == "developer" else self.role
        return chat_pb2.Message(role=role, content="".join(part.text for part in self.content))


class _StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)
    include_usage: bool = False


class _Asked(BaseModel):
    """What a chat and a continuation have in common."""

    model_config = ConfigDict(strict=True, extra="forbid")
    model: str
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: Annotated[list[str], BeforeValidator(_listed)] = []
    max_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)

    @classmethod
    def parse(cls, given: dict[str, Any]) -> Self:
        """Parses a body; null counts as left out. Raises InvalidField."""
        said = {name: value for name, value in given.items() if value is not None and name not in IGNORED}
        for name in said.keys() & NEUTRAL.keys() - cls.model_fields.keys():
            if not _is_neutral(name, said.pop(name)):
                raise InvalidField(name, "asks for what a memory does not do; leave it out")
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            raise first_fault(error) from None

    def _common(self) -> dict[str, Any]:
        seed = None if self.seed is None else self.seed % (MAX_SEED + 1)
        return {"temperature": self.temperature, "top_p": self.top_p, "seed": seed, "stop": self.stop}


class ChatBody(_Asked):
    messages: list[_Turn]
    max_completion_tokens: int | None = Field(default=None, ge=1, le=MAX_TOKENS)
    conversation: str = ""
    remember: Literal["off", "ask", "on"] = "off"

    def request(self, memory: str) -> chat_pb2.ChatRequest:
        """Returns the request; without a number of tokens, as many as the model has room for."""
        tokens = self.max_completion_tokens or self.max_tokens or MAX_TOKENS
        messages = [turn.message() for turn in self.messages]
        return chat_pb2.ChatRequest(
            memory=memory,
            messages=messages,
            max_tokens=tokens,
            conversation=self.conversation,
            remember=chat_pb2.Remember.Value(f"REMEMBER_{self.remember.upper()}"),
            **self._common(),
        )


class CompletionBody(_Asked):
    prompt: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1, max_length=1)]

    def request(self, memory: str) -> chat_pb2.CompleteRequest:
        tokens = self.max_tokens or COMPLETION_TOKENS
        return chat_pb2.CompleteRequest(memory=memory, prompt=self.prompt[0], max_tokens=tokens, **self._common())


def first_fault(error: ValidationError) -> InvalidField:
    """Returns the first fault, with the path of its field."""
    first = error.errors(include_url=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        return InvalidField(path, "is not a field of this request; leave it out")
    if first["type"] == "missing":
        return InvalidField(path, "is missing")
    if first["type"] == "model_type":  # pydantic would name the class
        return InvalidField(path, "is not a JSON object")
    fault = first["msg"].replace(" after validation", "")
    return InvalidField(path, f"is not valid: {fault[:1].lower()}{fault[1:]}")
