"""How long work ends before its time."""

from __future__ import annotations


class Cancelled(Exception):
    """Raised by work once it notices that nobody wants its result any more."""
