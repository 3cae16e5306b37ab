"""Old events in the words of today. What is stored never changes; it is read anew each time.

Each step takes a payload from one schema to the next; a payload goes through all the steps it has missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Payload = dict[str, Any]


def _crowding(type_: str, value: Payload) -> Payload:
    """1 to 2: what an edit measures of the key space was called `pressure`, which now has a wider meaning."""
    if type_ == "EditComputed":
        value = dict(value)
        value["crowding"] = value.pop("pressure")
    return value


STEPS: tuple[Callable[[str, Payload], Payload], ...] = (_crowding,)


def upcast(type_: str, schema: int, value: Payload) -> Payload:
    """`value`, of an event of `type_` stored at `schema`, at the schema of today."""
    for step in STEPS[schema - 1 :]:
        value = step(type_, value)
    return value
