"""Events as rows of `events`, and rows as events."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, select

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
    """An event to append. A retry must carry the same id, so that it is appended once."""

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


class StoredRow(NamedTuple):
    """A row of `events`, column by column, and the data key that opens its sealed words.

    Attributes:
        key_fact: the fact again, where `data_keys` has a row of it; None where there is no such row.
        key: None where the fact was erased.
    """

    position: int
    event_id: str
    memory: str
    version: int
    recorded_at: str
    actor: str
    request: str
    causation: str
    correlation: str
    type: str
    schema: int
    payload: str
    fact: str | None
    sealed: bytes | None
    checksums: bytes
    previous_hash: str
    hash: str
    key_fact: str | None
    key: bytes | None

    @classmethod
    def of(cls, columns: Mapping[str, Any], key_fact: str | None, key: bytes | None) -> StoredRow:
        """Returns the row with these columns of `events`, by name."""
        return cls(**columns, key_fact=key_fact, key=key)


def check_memory(memory: MemoryId) -> None:
    """Raises InvalidField for a name that no memory can have."""
    if not MEMORY_ID.fullmatch(memory):
        raise InvalidField(
            "memory", "must be 1 to 63 of a-z, 0-9 and hyphens, and begin with a letter; choose another name"
        )


def prepare(new: NewEvent) -> Prepared:
    """Returns the event in the form it is stored in.

    Raises:
        InvalidField: its id or its cause cannot be stored.
        EventUnknown: it is not an event of this version.
    """
    if not _UUID.fullmatch(new.id):
        raise InvalidField("event_id", f"{new.id!r} is not a lower-case UUID")
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
    """Returns whether every database can hold `text`."""
    if text.isascii():
        return "\0" not in text
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def to_row(
    prepared: Prepared, key: bytes | None, *, memory: MemoryId, version: int, position: int, recorded_at: str
) -> dict[str, Value]:
    """Returns the columns of an event but those that chain it to the row before."""
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
    """Selects rows whose values are those of a `StoredRow`, in its order."""
    key = data_keys.c.fact.label("key_fact"), data_keys.c.key
    return select(events, *key).outerjoin(data_keys, data_keys.c.fact == events.c.fact)


def to_recorded(row: StoredRow) -> Recorded:
    """Returns the event of a row, its sealed words opened; words of an erased fact are blank.

    Raises:
        EventUnknown: it is of a type that this version does not know.
        Damaged: it cannot be read at all.
    """
    try:
        value = json.loads(row.payload)
        if row.sealed is not None:
            value |= _words(row)
        event = decode_event(row.type, row.schema, value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(
            f"event {row.position} cannot be read ({type(error).__name__}: {error}); verify the log",
            position=row.position,
        ) from error
    return Recorded(
        id=EventId(row.event_id),
        memory=MemoryId(row.memory),
        version=row.version,
        position=row.position,
        recorded_at=row.recorded_at,
        cause=Cause(actor=row.actor, request=row.request, causation=row.causation, correlation=row.correlation),
        schema=row.schema,
        event=event,
        previous_hash=Digest(row.previous_hash),
        hash=Digest(row.hash),
    )


def _words(row: StoredRow) -> Mapping[str, Any]:
    """Returns the sealed fields of a row by name; raises Damaged where their data key is missing or not theirs."""
    assert row.sealed is not None
    if row.key_fact is None:
        raise Damaged(f"the data key of fact {row.fact} is missing; restore the database from a backup", fact=row.fact)
    if row.key is None:
        return event_fields.blank(row.type)
    return event_fields.unseal(row.sealed, row.key, EventId(row.event_id))
