"""Parses and validates fields of requests; an InvalidField names the wrong field by its path.

Here are the checks that need the request alone; `core.decide` has those that need a memory's state.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from hypnogram.v1 import chat_pb2, facts_pb2, memories_pb2

from core.decide.conversation import check_conversation
from core.decide.idempotency import check_request_id
from core.errors.base import InvalidField
from core.hyperparameters import DEFAULTS, changed_hyperparameters, checked_capacity
from core.ids import MEMORY_ID, FactId, MemoryId, SleepId
from core.moments import Moment
from core.remember import Remember
from core.state.memory import Status
from core.texts import composed, same_words
from service.app.ports import Sampling

DEFAULT_PAGE = 100  # items
MAX_PAGE = 1000
MAX_TEXT = 1000  # characters of a name or a source
MAX_MESSAGES = 256
MAX_PROMPT = 32_000  # characters of a message or a prompt to continue
DEFAULT_TOKENS = 128
MAX_TOKENS = 4096
MAX_SEED = 2**53 - 1
MAX_TEMPERATURE = 2.0
MAX_STOPS, MAX_STOP = 4, 200  # texts, and characters of each
REMEMBER = {
    chat_pb2.REMEMBER_UNSPECIFIED: None,
    chat_pb2.REMEMBER_OFF: Remember.OFF,
    chat_pb2.REMEMBER_ASK: Remember.ASK,
    chat_pb2.REMEMBER_ON: Remember.ON,
}
ROLES = ("system", "user", "assistant")
DTYPES = ("", "float32", "bfloat16", "float16")
QUANTIZATIONS = ("", "none", "int8", "nf4")
STATUSES = {
    facts_pb2.STATUS_UNSPECIFIED: None,
    facts_pb2.STATUS_PENDING: Status.PENDING,
    facts_pb2.STATUS_INJECTED: Status.INJECTED,
    facts_pb2.STATUS_PARKED: Status.PARKED,
    facts_pb2.STATUS_DISSOLVED: Status.DISSOLVED,
    facts_pb2.STATUS_WITHDRAWN: Status.WITHDRAWN,
}


def memory_id(value: str, field: str = "memory") -> MemoryId:
    if not value:
        raise InvalidField(field, "is empty; name a memory")
    if not MEMORY_ID.fullmatch(value):
        raise InvalidField(
            field, "is not a lower-case letter followed by up to 62 lower-case letters, digits or hyphens"
        )
    return MemoryId(value)


def fact_id(value: str) -> FactId:
    if not value:
        raise InvalidField("fact", "is empty; give the id of a fact")
    return FactId(text(value, "fact", MAX_TEXT))


def fact_or_all(request: facts_pb2.RetryFactRequest) -> FactId | None:
    """Returns the fact that is named; None for all."""
    if request.all:
        if request.fact:
            raise InvalidField("fact", "is given together with `all`; give one of the two")
        return None
    return fact_id(request.fact)


def sleep_id(value: str) -> SleepId:
    """Returns the id of a sleep; empty where it was left out."""
    return SleepId(text(value, "sleep"))


def text(value: str, field: str, limit: int = MAX_TEXT) -> str:
    """Returns text, which may be empty and have line breaks, but no NUL."""
    if len(value) > limit:
        raise InvalidField(field, f"has {len(value)} characters, at most {limit} are allowed")
    if "\0" in value:
        raise InvalidField(field, "holds a NUL character; remove it")
    return value


def search(value: str) -> tuple[str, ...]:
    """Returns the words to search for, in the form in which words are compared."""
    words = (word.strip(".!?,;:()\"'") for word in same_words(text(value, "search")).split())
    compared = tuple(word for word in words if word)
    if value and not compared:
        raise InvalidField("search", "holds no word; leave it out to list all facts")
    return compared


def version(value: int, field: str) -> int:
    if value < 0:
        raise InvalidField(field, f"is {value}; versions count from 1, and 0 is before the first")
    return value


def optional_version(request: Any, field: str) -> int | None:
    """Returns the version in an optional field of `request`; None where it was left out."""
    return version(getattr(request, field), field) if request.HasField(field) else None


def as_of(request: Any) -> tuple[int | None, int | None]:
    """Returns the `at_version` and `min_version` of a read."""
    at_version, min_version = optional_version(request, "at_version"), optional_version(request, "min_version")
    if at_version is not None and min_version is not None:
        raise InvalidField("min_version", "stands beside at_version; give one of the two")
    return at_version, min_version


def page_size(value: int) -> int:
    if not 0 <= value <= MAX_PAGE:
        raise InvalidField("page_size", f"is {value}; it must be 1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}")
    return value or DEFAULT_PAGE


def max_tokens(value: int) -> int:
    if not 0 <= value <= MAX_TOKENS:
        raise InvalidField("max_tokens", f"is {value}; it must be 1 to {MAX_TOKENS}, or 0 for {DEFAULT_TOKENS}")
    return value or DEFAULT_TOKENS


def status(value: facts_pb2.Status.ValueType) -> Status | None:
    if value not in STATUSES:
        raise InvalidField("status", f"{value} is not a valid status")
    return STATUSES[value]


def wait(value: facts_pb2.Wait.ValueType, end: facts_pb2.Wait.ValueType) -> bool:
    """Returns whether to wait for `end`, the only end that this call can wait for."""
    if value not in (facts_pb2.WAIT_UNSPECIFIED, facts_pb2.WAIT_NONE, end):
        name = facts_pb2.Wait.Name(value) if value in facts_pb2.Wait.values() else value
        raise InvalidField("wait", f"{name} does not apply to this call; give WAIT_NONE or {facts_pb2.Wait.Name(end)}")
    return value == end


def request_id(value: str) -> str:
    if not value.isprintable():
        raise InvalidField("request_id", "has line breaks or control characters; use a UUID, for example")
    return value


def seed(request: Any) -> int | None:
    """Returns the seed; None where it was left out."""
    if not request.HasField("seed"):
        return None
    if not 0 <= request.seed <= MAX_SEED:
        raise InvalidField("seed", f"is {request.seed}; it must be 0 to {MAX_SEED}")
    return int(request.seed)


def sampling(request: chat_pb2.ChatRequest | chat_pb2.CompleteRequest) -> Sampling | None:
    """Returns how tokens are drawn, with a seed of the server's where it was left out; None for greedy decoding."""
    top_p, chosen = request.top_p if request.HasField("top_p") else 1.0, seed(request)
    if not 0 <= request.temperature <= MAX_TEMPERATURE:
        raise InvalidField("temperature", f"is {request.temperature:g}; it must be 0 to {MAX_TEMPERATURE:g}")
    if not 0 <= top_p <= 1:
        raise InvalidField("top_p", f"is {top_p:g}; it must be 0 to 1")
    if not request.temperature:
        return None
    return Sampling(request.temperature, top_p, secrets.randbelow(MAX_SEED) if chosen is None else chosen)


def stops(given: Sequence[str]) -> tuple[str, ...]:
    """Returns the texts before which generation ends."""
    if len(given) > MAX_STOPS:
        raise InvalidField("stop", f"has {len(given)} texts, at most {MAX_STOPS} are allowed")
    for index, stop in enumerate(given):
        if not stop:
            raise InvalidField(f"stop[{index}]", "is empty; leave it out")
        text(stop, f"stop[{index}]", MAX_STOP)
    return tuple(given)


def sleep_request_id(value: str) -> str:
    """Returns the id of a request to sleep, checked here because `core.decide` checks only other requests'."""
    check_request_id(value)
    return request_id(value)


def capacity(request: memories_pb2.CreateMemoryRequest) -> float | None:
    """Returns the capacity; None where it was left out."""
    return checked_capacity(request.capacity) if request.HasField("capacity") else None


def base_model(message: memories_pb2.BaseModel) -> None:
    """Checks the fields of a base model, but not whether it exists."""
    text(message.name, "base.name")
    text(message.revision, "base.revision")
    if message.digest:
        raise InvalidField("base.digest", "is output only; leave it out")
    if message.dtype not in DTYPES:
        raise InvalidField("base.dtype", f"{message.dtype!r} is not one of {', '.join(DTYPES[1:])}")
    if message.quantization not in QUANTIZATIONS:
        raise InvalidField(
            "base.quantization", f"{message.quantization!r} is not one of {', '.join(QUANTIZATIONS[1:])}"
        )


def hyperparameters(message: memories_pb2.Hyperparameters) -> dict[str, float | int | bool]:
    """Returns the hyperparameters that were given, by name."""
    given = {descriptor.name: value for descriptor, value in message.ListFields()}
    changed_hyperparameters(DEFAULTS, given)
    return given


def conversation(messages: Sequence[chat_pb2.Message]) -> list[dict[str, str]]:
    """Returns a conversation in the form that chat templates take."""
    if not messages:
        raise InvalidField("messages", "is empty; send at least one message of the user")
    if len(messages) > MAX_MESSAGES:
        raise InvalidField("messages", f"has {len(messages)} messages, at most {MAX_MESSAGES} are allowed")
    for index, message in enumerate(messages):
        if message.role not in ROLES:
            raise InvalidField(f"messages[{index}].role", f"{message.role!r} is not one of {', '.join(ROLES)}")
        _spoken(message.content, f"messages[{index}].content")
    if messages[-1].role != "user":
        raise InvalidField(f"messages[{len(messages) - 1}].role", "is not user: the last message has to be the user's")
    return [{"role": message.role, "content": composed(message.content)} for message in messages]


def remember(value: chat_pb2.Remember.ValueType) -> Remember | None:
    """Returns what is to happen with facts; None where the memory decides."""
    if value not in REMEMBER:
        raise InvalidField("remember", f"{value} is not a valid value")
    return REMEMBER[value]


def conversation_name(value: str) -> str:
    """Returns the name of a conversation, which must be given."""
    check_conversation(value)
    return value


def prompt(value: str) -> str:
    return composed(_spoken(value, "prompt"))


def _spoken(value: str, field: str) -> str:
    if not value.strip():
        raise InvalidField(field, "is empty")
    return text(value, field, MAX_PROMPT)


def moment(request: Any, field: str = "") -> Moment:
    """Returns the moment in `oneof at` of a request; None where it was left out.

    Args:
        field: path of the message that holds the `oneof`, for errors.
    """
    which = request.WhichOneof("at")
    path = f"{field}.{which}" if field else f"{which}"
    if which == "version":
        return version(request.version, path)
    if which == "checkpoint":
        return text(request.checkpoint, path)
    if which == "time":
        try:
            return request.time.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
        except (ValueError, OverflowError):
            raise InvalidField(path, "is out of range: it must be in the years 1 to 9999") from None
    return None
