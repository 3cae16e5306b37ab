"""Says whether facts are learned from what a user says in a conversation."""

from __future__ import annotations

from enum import StrEnum

from core.errors.base import InvalidField

MAX_DAYS = 36_500  # for which texts are kept, if they are erased at all: a hundred years


class Remember(StrEnum):
    """What happens with the facts in a turn of a user."""

    OFF = "off"  # the turn is not read
    ASK = "ask"  # they are found and shown, and not added
    ON = "on"  # they are added


def checked_remember(value: object) -> Remember:
    """Returns the value of that name. Raises InvalidField if there is none."""
    try:
        return Remember(str(value))
    except ValueError:
        raise InvalidField("remember", f"is {value!r}; it must be {', '.join(Remember)}") from None


def checked_days(days: int) -> int:
    """Returns for how many days texts are kept, 0 for ever. Raises InvalidField beyond 0 to `MAX_DAYS`."""
    if not 0 <= days <= MAX_DAYS:
        why = f"is {days}; give 1 to {MAX_DAYS} days, or 0 to keep texts"
        raise InvalidField("keep_texts_days", why)
    return days


def for_turn(asked: Remember | None, of_memory: Remember, *, in_the_past: bool) -> Remember:
    """Returns what happens with the facts of a turn: what its request asks, or else what its memory was created with.

    Nothing is learned from a chat with the past. Raises InvalidField where the request asks for that.
    """
    if not in_the_past:
        return of_memory if asked is None else asked
    if asked not in (None, Remember.OFF):
        raise InvalidField("remember", "stands beside at_version: nothing is remembered in a chat with the past")
    return Remember.OFF
