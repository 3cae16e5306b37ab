"""Events as rows of `events`, and rows as events."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, select

from core.errors.base import Damaged, EventUnknown, InvalidField
from core.events import EVENT_TYPES, Cause, Event, Recorded
from core.events.codec import SCHEMA, canonical, decode_event, event_type, to_json
from core.ids import MEMORY_ID, Digest, EventId, FactId, MemoryId
from store.database.schema import data_keys, events
from store.log.hash_chain import Value
from store.sealing import event_fields

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CAUSE = ("actor", "request", "causation", "correlation")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to append. A retry must carry the same id."""

    id: EventId
    event: Event
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A new event in the form it is stored in, as far as that does not depend on its place in the log."""

    new: NewEvent
    type: str
    payload: str  # canonical JSON without the words
    fact: FactId | None  # whose data key seals the words
    words: str | None  # canonical JSON of the sealed fields


def check_memory(memory: MemoryId) -> None:
    """Raises InvalidField for a name no memory can have."""
    if not MEMORY_ID.fullmatch(memory):
        raise InvalidField(
            "memory", "must be 1 to 63 of a-z, 0-9 and hyphens, and begin with a letter; choose another name"
        )


def prepare(new: NewEvent) -> Prepared:
    """Raises InvalidField for metadata that cannot be stored, EventUnknown for what is no event."""
    if not _UUID.fullmatch(new.id):
        raise InvalidField("event_id", f"{new.id!r} is no lower-case UUID")
    for name in _CAUSE:
        if not storable(getattr(new.cause, name)):
            raise InvalidField(name, "holds a NUL character or half a surrogate pair; remove it")
    type_ = event_type(new.event)
    if type_ not in EVENT_TYPES:
        raise EventUnknown(type_, SCHEMA)
    value = to_json(new.event)
    fact, words = event_fields.split(type_, value)
    payload = canonical(value)
    if not (storable(payload) and storable(words or "") and storable(fact or "")):
        raise InvalidField("event", f"{type_} holds half a surrogate pair; remove it")
    return Prepared(new=new, type=type_, payload=payload, fact=fact, words=words)


def storable(text: str) -> bool:
    """Whether every database can hold `text`."""
    if text.isascii():
        return "\0" not in text
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def to_row(
    prepared: Prepared, key: bytes | None, *, memory: MemoryId, version: int, position: int, recorded_at: str
) -> dict[str, Value]:
    """The row of an event, still without its place in the chain."""
    new = prepared.new
    sealed = None if prepared.words is None or key is None else event_fields.seal(prepared.words, key, new.id)
    return {
        "position": position,
        "event_id": new.id,
        "memory": memory,
        "version": version,
        "recorded_at": recorded_at,
        "actor": new.cause.actor,
        "request": new.cause.request,
        "causation": new.cause.causation,
        "correlation": new.cause.correlation,
        "type": prepared.type,
        "schema": SCHEMA,
        "payload": prepared.payload,
        "fact": prepared.fact,
        "sealed": sealed,
    }


def select_events() -> Select[Any]:
    """All that `to_recorded` needs, in its order."""
    return select(events, data_keys.c.fact, data_keys.c.key).outerjoin(data_keys, data_keys.c.fact == events.c.fact)


def to_recorded(row: Row[Any] | Sequence[Any]) -> Recorded:
    """Raises EventUnknown for a type this version does not know, Damaged for a row that cannot be read at all."""
    (position, event_id, memory, version, recorded_at, actor, request, causation, correlation) = row[:9]
    (type_, schema, payload, fact, sealed, _, previous, hash_, key_fact, key) = row[9:]
    try:
        value = json.loads(payload)
        if sealed is not None:
            if key_fact is None:
                raise Damaged(f"the data key of fact {fact} is missing; restore the database from a backup", fact=fact)
            value |= event_fields.unseal(sealed, key, event_id) if key is not None else event_fields.blank(type_)
        event = decode_event(type_, schema, value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(
            f"event {position} cannot be read ({type(error).__name__}: {error}); verify the log", position=position
        ) from error
    return Recorded(
        id=EventId(event_id),
        memory=MemoryId(memory),
        version=version,
        position=position,
        recorded_at=recorded_at,
        cause=Cause(actor=actor, request=request, causation=causation, correlation=correlation),
        schema=schema,
        event=event,
        previous_hash=Digest(previous),
        hash=Digest(hash_),
    )
