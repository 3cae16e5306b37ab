"""Seals the words of a fact or a conversation in its events, under the data key of that fact or conversation.

The hash chain covers the ciphertext, so that destroying the key erases the words and leaves the log verifiable. An
event whose key was destroyed is read with blank words.
"""

from __future__ import annotations

import hashlib
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors.base import Damaged
from core.events import EVENT_TYPES
from core.events.codec import canonical, key_field, sealed_fields
from core.ids import EventId, FactId

KEY_BYTES = 32
Words = Mapping[str, Any]  # sealed field -> JSON value


def new_key() -> bytes:
    """Draws a data key."""
    return os.urandom(KEY_BYTES)


def seal(words: str, key: bytes, event: EventId) -> bytes:
    """Returns the ciphertext of `words`, equal for equal arguments, so that a retried append has equal bytes."""
    return AESGCM(key).encrypt(_nonce(event), words.encode(), event.encode())


def unseal(sealed: bytes, key: bytes, event: EventId) -> Words:
    """Returns the words in `sealed`. Raises Damaged where it was not made with `key` for `event`."""
    try:
        words: Words = json.loads(AESGCM(key).decrypt(_nonce(event), sealed, event.encode()))
    except (InvalidTag, ValueError) as error:
        raise Damaged(
            f"the sealed words of event {event} do not open with their data key; restore the database from a backup",
            event=event,
        ) from error
    return words


def split(type_: str, value: dict[str, Any]) -> tuple[FactId | None, str | None]:
    """Removes the sealed fields from `value`; returns the id of the key that seals them, and their canonical JSON."""
    names = sealed_fields(EVENT_TYPES[type_])
    if not names:
        return None, None
    return FactId(value[key_field(EVENT_TYPES[type_])]), canonical({name: value.pop(name) for name in names})


def blank(type_: str) -> Words:
    """Returns what is read in place of the sealed fields once their key was destroyed."""
    cls = EVENT_TYPES[type_]
    hints = typing.get_type_hints(cls)
    return {name: _blank(hints[name]) for name in sealed_fields(cls)}


def _blank(kind: Any) -> Any:
    """Returns the empty JSON value of type `kind`."""
    kind = getattr(kind, "__supertype__", kind)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return {field.name: _blank(hints[field.name]) for field in fields(kind)}
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return None
    return {str: "", int: 0, float: 0.0, bool: False, tuple: [], Mapping: {}}.get(origin or kind, {})


def _nonce(event: EventId) -> bytes:
    """Returns 12 bytes that differ for each event, because AES-GCM must not see a nonce twice under one key."""
    return hashlib.sha256(b"hypnogram nonce\0" + event.encode()).digest()[:12]
