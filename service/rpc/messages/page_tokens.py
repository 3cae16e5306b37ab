"""Page tokens: opaque to clients, and bound to the listing that issued them.

A token names the last item of its page, and the version that the first page saw, so that a listing shows one state of
the memory however long a client takes over its pages.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from google.protobuf.message import Message

from core.errors.base import InvalidField
from core.events.codec import canonical
from core.ids import MemoryId
from core.state.memory import Memory
from service.app.repository import MemoryRepository
from service.rpc.messages import requests

Item = TypeVar("Item", bound=Message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the item `after`, in the listing as it was at `version`."""

    after: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class PagedState:
    """A memory as the first page of a listing saw it, and where the next page begins.

    Attributes:
        state: the memory at the version of the first page.
        after: key of the last item of the previous page; empty for the first page.
        listing: what is listed, filters included.
        size: items of a page, at most.
        max_bytes: size of a page's items, at most.
    """

    state: Memory
    after: str
    listing: str
    size: int
    max_bytes: int

    def page(self, items: Iterable[Item], key: Callable[[Item], str]) -> tuple[list[Item], str]:
        """Returns the first of `items` that fit one page, and the token of the next page; empty on the last page.

        Args:
            items: those after `after`, in order; only as many are drawn as the page needs.
            key: returns the key of an item, from which the next page goes on.
        """
        candidates = list(islice(items, self.size + 1))
        page = fitting(candidates[: self.size], self.max_bytes)
        if len(page) == len(candidates):
            return page, ""
        return page, encode(self.listing, after=key(page[-1]), version=self.state.version)


async def paged_state(
    states: MemoryRepository, memory: MemoryId, request: Any, kind: str, *filters: object, max_bytes: int
) -> PagedState:
    """Returns the state that a listing shows: at the version of the page token, or the one that the request asks for.

    Args:
        request: has `page_size`, `page_token`, `at_version` and `min_version`.
        kind: what is listed; together with `filters` it identifies the listing that a token belongs to.
        max_bytes: size of a page's items, at most.

    Raises:
        InvalidField, MemoryUnknown, VersionUnknown.
    """
    size = requests.page_size(request.page_size)
    at_version, min_version = requests.as_of(request)
    listing = canonical([kind, memory, *filters, at_version, min_version])
    place = decode(request.page_token, listing)
    version = at_version if place.version is None else place.version
    state = await asyncio.to_thread(states.at, memory, version, min_version)
    return PagedState(state=state, after=place.after, listing=listing, size=size, max_bytes=max_bytes)


def encode(listing: str, *, after: str, version: int | None = None) -> str:
    """Returns the token of the page that begins after `after`; `listing` says what is listed, filters included."""
    return base64.urlsafe_b64encode(canonical([listing, after, version]).encode()).decode().rstrip("=")


def decode(token: str, listing: str) -> Place:
    """Returns where the page of `token` begins; an empty token is the first page.

    Raises:
        InvalidField: `encode` did not make this token, or made it for another listing.
    """
    if not token:
        return Place()
    try:
        padded = token + "=" * (-len(token) % 4)
        of, after, version = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise InvalidField("page_token", "is not a token of this server; send one unchanged, or none") from None
    if of != listing or not isinstance(after, str) or not (version is None or isinstance(version, int)):
        raise InvalidField("page_token", "belongs to another listing; send the same request with each page")
    return Place(after, version)


def fitting(items: Iterable[Item], max_bytes: int) -> list[Item]:
    """Returns as many of the first `items` as take at most `max_bytes`, but at least one."""
    page: list[Item] = []
    room = max_bytes
    for item in items:
        room -= item.ByteSize()
        if page and room < 0:
            break
        page.append(item)
    return page
