"""Upcasters: lift payloads of old schemas to the current one on every read. What is stored never changes.

Each upcaster lifts a payload from one schema to the next, and a payload goes through all from its own schema on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Payload = dict[str, Any]


def _crowding(type_: str, value: Payload) -> Payload:
    """Schema 1 to 2: renames `pressure` of an edit to `crowding`, because pressure now means more than that."""
    if type_ == "EditComputed":
        value = dict(value)
        value["crowding"] = value.pop("pressure")
    return value


STEPS: tuple[Callable[[str, Payload], Payload], ...] = (_crowding,)


def upcast(type_: str, schema: int, value: Payload) -> Payload:
    """Returns `value`, the payload of an event of `type_` stored at `schema`, at the current schema."""
    for step in STEPS[schema - 1 :]:
        value = step(type_, value)
    return value
