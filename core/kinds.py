"""Checks the types of values from outside, because a client or a file may send anything where a float is expected."""

from __future__ import annotations

from typing import Any

from core.errors.base import InvalidField

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", tuple: "a list of numbers"}


def of_kind(example: object, value: object, field: str) -> Any:
    """Returns `value` as the type of `example`.

    An int is accepted for a float, and a list of numbers for a tuple of floats.

    Raises:
        InvalidField: `value` has another type; the message names `field`.
    """
    kind, numbers = type(example), (int, float)
    if kind is tuple and isinstance(value, (list, tuple)) and all(type(part) in numbers for part in value):
        return tuple(float(part) for part in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind and kind is not tuple:
        return value
    raise InvalidField(field, f"is {value!r}, not {_KINDS[kind]}")
