"""Moments in the history of a memory as users write them."""

from __future__ import annotations

from datetime import UTC, datetime

from core.errors.base import InvalidField

Moment = int | str | datetime | None  # a version, a checkpoint, a time; None is now
DIGITS = 18  # of a version, at most, so that it fits into an int64


def parsed_moment(text: str) -> Moment:
    """Parses a moment: digits are a version, text with a colon is a time, any other text is a checkpoint.

    This is unambiguous because names of checkpoints are not numbers and hold no colons. A time without a zone is UTC.

    Raises:
        InvalidField: it looks like a version or a time but is not valid.
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
    except (ValueError, OverflowError):  # OverflowError: outside the years 1 to 9999 only in UTC
        raise InvalidField("at", f"{text!r} is not a time; write it as in 2026-11-24T10:00") from None
