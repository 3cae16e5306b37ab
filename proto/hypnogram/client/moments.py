"""Moments in the history of a memory, as a client names them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

Moment = int | str | datetime | None  # a version, a checkpoint, a time; None is now


def at(moment: Moment) -> dict[str, Any]:
    """The `oneof at` of a request, as arguments of its message."""
    if moment is None:
        return {}
    if isinstance(moment, int):
        return {"version": moment}
    if isinstance(moment, str):
        return {"checkpoint": moment}
    time = Timestamp()
    time.FromDatetime(moment)
    return {"time": time}
