"""Page tokens: opaque to clients, tied to the listing they belong to."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from core.errors.base import InvalidField
from core.events.codec import canonical

Item = TypeVar("Item", bound=Message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the item `after`, in the listing as it was at `version`."""

    after: str = ""
    version: int | None = None


def encode(listing: str, *, after: str, version: int | None = None) -> str:
    """The token of the page that begins after `after`; `listing` says what is listed, filters included."""
    return base64.urlsafe_b64encode(canonical([listing, after, version]).encode()).decode().rstrip("=")


def decode(token: str, listing: str) -> Place:
    """Raises InvalidField for a token that `write` did not make for `listing`; an empty one is the first page."""
    if not token:
        return Place()
    try:
        padded = token + "=" * (-len(token) % 4)
        of, after, version = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise InvalidField("page_token", "is no token of this server; send one unchanged, or none") from None
    if of != listing or not isinstance(after, str) or not (version is None or isinstance(version, int)):
        raise InvalidField("page_token", "belongs to another listing; send the same request with each page")
    return Place(after, version)


def fitting(items: Sequence[Item], most: int) -> list[Item]:
    """As many of the first `items` as take at most so many bytes, and one in any case."""
    page: list[Item] = []
    for item in items:
        most -= item.ByteSize()
        if page and most < 0:
            break
        page.append(item)
    return page
