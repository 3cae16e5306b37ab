"""Moments: a version, the version that a checkpoint names, or the newest one at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from core.errors import InvalidField, VersionUnknown
from core.history_errors import CheckpointUnknown, MomentUnknown
from core.ids import MemoryId
from core.memory import Memory
from service import fields

if TYPE_CHECKING:
    from service.states import States
    from store.log import EventLog

DIGITS = 18  # of a version, at most: such a number fits into a message

Moment = int | str | datetime | None  # a version, a checkpoint, a time; None is now


def read(text: str) -> Moment:
    """What a person wrote: digits are a version, what holds a colon is a time, anything else is a checkpoint.

    Names of checkpoints are no numbers and hold no colons. A time without a zone is UTC, as the log prints it.

    Raises:
        InvalidField: it looks like a version or a time and cannot be one.
    """
    if text.isdecimal():
        if len(text) > DIGITS:
            raise InvalidField("at", f"has {len(text)} digits, and no version has more than {DIGITS}")
        return int(text)
    if ":" not in text:
        return text
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: of the years 1 to 9999 only where it was said
        raise InvalidField("at", f"{text!r} is no time; write it as in 2026-11-24T10:00") from None


def given(request: Any, field: str = "") -> Moment:
    """The `oneof at` of a request; None where it was left out.

    Args:
        field: path of the message that holds it, for errors.
    """
    which = request.WhichOneof("at")
    path = f"{field}.{which}" if field else f"{which}"
    if which == "version":
        return fields.version(request.version, path)
    if which == "checkpoint":
        return fields.text(request.checkpoint, path)
    if which == "time":
        try:
            return request.time.ToDatetime(tzinfo=UTC)  # type: ignore[no-any-return]
        except (ValueError, OverflowError):
            raise InvalidField(path, "is out of range: it must be of the years 1 to 9999") from None
    return None


def said(moment: Moment) -> dict[str, Any]:
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


def as_it_was(log: EventLog, states: States, memory: MemoryId, moment: Moment) -> Memory:
    """The state of `memory` at `moment`. Blocking.

    Raises:
        MemoryUnknown, VersionUnknown, CheckpointUnknown.
        MomentUnknown: a time before its first event.
    """
    current = states.current(memory)
    return states.at(memory, _version(log, current, memory, moment))


def _version(log: EventLog, current: Memory, memory: MemoryId, moment: Moment) -> int:
    if moment is None:
        return current.version
    if isinstance(moment, int):
        if not 1 <= moment <= current.version:
            raise VersionUnknown(memory, moment, current.version)
        return moment
    if isinstance(moment, str):
        if moment not in current.checkpoints:
            raise CheckpointUnknown(memory, moment)
        return current.checkpoints[moment].version
    time = moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    version = log.version_at(memory, time)
    if not version:
        raise MomentUnknown(memory, time, log.read(memory=memory, limit=1)[0].recorded_at)
    return version
