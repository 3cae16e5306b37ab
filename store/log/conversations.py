"""Finds the events of conversations in the log; those of one by the data key that seals them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from core.events import Recorded
from core.events.conversation import ConversationClosed, ModelReplied, TurnRead, UserSpoke
from core.ids import ConversationKey, FactId, MemoryId
from store.database.engine import reading
from store.database.schema import events
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


def last_turns(log: EventLog, memory: MemoryId) -> dict[ConversationKey, str]:
    """Returns when the last turn of each conversation of a memory was recorded, as `store/clock.py` writes times."""
    turns = events.c.type.in_((UserSpoke.__name__, ModelReplied.__name__))
    query = select(events.c.fact, func.max(events.c.recorded_at)).where(events.c.memory == memory, turns)
    with reading(log.engine).connect() as connection:
        return {ConversationKey(FactId(key)): at for key, at in connection.execute(query.group_by(events.c.fact))}


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
