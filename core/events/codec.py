"""Converts events to JSON values and back, by the fields of their dataclasses.

Canonical JSON (sorted keys, no spaces, shortest floats) gives equal events equal bytes, so that hashes can be compared.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from core.errors.base import EventUnknown
from core.events import EVENT_TYPES, Event
from core.events.upcasters import upcast

SCHEMA = 3  # schema number of every event type; `core/events/upcasters.py` lifts older ones


def canonical(value: object) -> str:
    """Returns the canonical JSON text of `value`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_json(value: Any) -> Any:
    """Returns `value`, made of dataclasses, tuples and mappings, as JSON values; an int in a float field as a float."""
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value
    if is_dataclass(kind):
        return {name: as_json(getattr(value, name)) for name, as_json in _writers(kind)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return value


T = TypeVar("T")


def from_json(cls: type[T], value: Any) -> T:
    """Returns the `cls` from which `to_json` made `value`."""
    return typing.cast(T, _reader(typing.cast(Any, cls))(value))


def event_type(event: Event) -> str:
    """Returns the name of the event's type, as the log records it."""
    return type(event).__name__


def decode_event(type_: str, schema: int, value: Any) -> Event:
    """Returns the event; raises EventUnknown for a type or schema that this version does not know."""
    cls = EVENT_TYPES.get(type_)
    if cls is None or schema > SCHEMA:
        raise EventUnknown(type_, schema)
    return from_json(cls, upcast(type_, schema, value))


def sealed_fields(event: Event | type[Event]) -> tuple[str, ...]:
    """Returns the names of the fields of `event` that hold words."""
    return getattr(event, "SEALED", ())


def key_field(event: type[Event]) -> str:
    """Returns the name of the field that says whose data key seals the words."""
    return getattr(event, "KEY", "fact")


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Returns a function that reads JSON values of type `kind`; it is built once per type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "__supertype__"):
        return _reader(kind.__supertype__)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        readers = tuple((field.name, _reader(hints[field.name])) for field in fields(kind))
        make: Callable[..., Any] = kind
        return lambda value: make(**{name: read(value[name]) for name, read in readers if name in value})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        item = _reader(next(argument for argument in arguments if argument is not type(None)))
        return lambda value: None if value is None else item(value)
    if origin is tuple:
        item = _reader(arguments[0])
        return tuple if item is _same else lambda value: tuple([item(element) for element in value])
    if origin is not None and issubclass(origin, Mapping):
        item = _reader(arguments[1])
        return lambda value: {key: item(element) for key, element in value.items()}
    return float if kind is float else _same


def _same(value: Any) -> Any:
    return value


@cache
def _writers(kind: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Returns the fields of a dataclass, each with the function that converts it to JSON."""
    return tuple((field.name, _WRITERS.get(str(field.type), to_json)) for field in fields(kind))


def _floats(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values]


_WRITERS: Mapping[str, Callable[[Any], Any]] = {"float": float, "tuple[float, ...]": _floats}
