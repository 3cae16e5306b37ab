"""Finds the events of conversations in the log; those of one by the data key that seals them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from core.events import Recorded
from core.events.conversation import ConversationClosed, ModelReplied, TurnRead, UserSpoke
from core.events.memory import MemoryCreated
from core.ids import ConversationKey, FactId, MemoryId
from store.database.engine import reading
from store.database.schema import data_keys, events
from store.log.ancestry import stitched
from store.log.event_log import EventLog
from store.log.rows import StoredRow, select_events, to_recorded


def turns_of(
    log: EventLog, memory: MemoryId, key: ConversationKey, after: int, until: int, limit: int
) -> list[Recorded]:
    """Returns the turns recorded after version `after`, up to `until`, in order; at most `limit`."""
    return _under(log, memory, key, (UserSpoke.__name__, ModelReplied.__name__), after, until, limit)


def readings_of(log: EventLog, memory: MemoryId, key: ConversationKey, after: int, until: int) -> list[Recorded]:
    """Returns the events that say what was learned from its turns, between the same versions."""
    return _under(log, memory, key, (TurnRead.__name__,), after, until, None)


@dataclass(frozen=True, slots=True)
class LastTurn:
    """When the last turn of a conversation was recorded, as `store/clock.py` writes times; `memory` has turns of it.

    Forks of that memory may have the conversation too, with turns of their own or without.
    """

    memory: MemoryId
    at: str


def last_turns(log: EventLog) -> dict[ConversationKey, LastTurn]:
    """Returns the last turn of each conversation of the log whose texts are not erased, in whichever memory it is."""
    last = select(events.c.fact, func.min(events.c.memory), func.max(events.c.recorded_at))
    kept = last.join(data_keys, data_keys.c.fact == events.c.fact).where(data_keys.c.key.is_not(None))
    query = kept.where(events.c.type.in_((UserSpoke.__name__, ModelReplied.__name__))).group_by(events.c.fact)
    with reading(log.engine).connect() as connection:
        return {
            ConversationKey(FactId(key)): LastTurn(MemoryId(memory), at)
            for key, memory, at in connection.execute(query)
        }


def days_kept(log: EventLog) -> dict[MemoryId, int]:
    """Returns for how many days texts are kept by each memory that was created to erase them, and by its forks.

    Of a name that was given to several memories in turn, the fewest days.
    """
    query = select(events.c.memory, events.c.payload).where(events.c.type == MemoryCreated.__name__)
    query = query.where(events.c.payload.contains('"keep_texts":', autoescape=True))
    query = query.where(~events.c.payload.contains('"keep_texts":0', autoescape=True))
    days: dict[MemoryId, int] = {}
    with reading(log.engine).connect() as connection:
        for memory, payload in connection.execute(query):
            kept = json.loads(payload)["keep_texts"]
            days[MemoryId(memory)] = min(kept, days.get(MemoryId(memory), kept))
    return days


def spoken_in(log: EventLog, after: int, until: int) -> list[MemoryId]:
    """Returns the memories in whose conversations there is something to do since position `after`, up to `until`."""
    owing = events.c.type.in_((UserSpoke.__name__, ConversationClosed.__name__))
    query = select(events.c.memory).where(events.c.position > after, events.c.position <= until, owing)
    with reading(log.engine).connect() as connection:
        return [MemoryId(memory) for memory in connection.execute(query.distinct()).scalars()]


def _under(
    log: EventLog,
    memory: MemoryId,
    key: ConversationKey,
    types: Sequence[str],
    after: int,
    until: int,
    limit: int | None,
) -> list[Recorded]:
    query = select_events().where(stitched(log.ancestry(memory), after, until))
    query = query.where(events.c.fact == key, events.c.type.in_(types)).order_by(events.c.version)
    with reading(log.engine).connect() as connection:
        rows = connection.execute(query.limit(limit)).all()
    return [to_recorded(StoredRow._make(row)) for row in rows]
