"""Says whether facts are learned from what a user says in a conversation."""

from __future__ import annotations

from enum import StrEnum

from core.errors.base import InvalidField


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
