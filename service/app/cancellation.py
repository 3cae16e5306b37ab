"""How long work is cancelled."""

from __future__ import annotations


class Cancelled(Exception):
    """Raised by work once it notices that it was cancelled."""
