"""What a deletion destroys: the words and deltas of a memory that no other memory shares."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import and_, not_, select

from core.events.conversation import UserSpoke
from core.events.deletion import MemoryPurged
from core.events.facts import EditComputed, FactAdded
from core.events.history import AdaptersCompacted
from core.events.sleep import AdapterTrained
from core.ids import Digest, FactId, MemoryId
from store.database.engine import reading
from store.database.schema import events
from store.log.ancestry import Segment, stitched
from store.log.event_log import EventLog

BEGINNINGS = (FactAdded.__name__, UserSpoke.__name__)  # events that may name a new data key
DELTAS = tuple(kind.__name__ for kind in (EditComputed, AdapterTrained, AdaptersCompacted))


@dataclass(frozen=True, slots=True)
class Doomed:
    """What only a deleted memory has, and a purge destroys.

    Attributes:
        keys: ids of the data keys to be destroyed: those of facts and of conversations.
        deltas: artifacts that no event of another memory names.
        kept: number of its facts that another memory shares.
    """

    keys: tuple[FactId, ...]
    deltas: tuple[Digest, ...]
    kept: int


def doomed(log: EventLog, memory: MemoryId) -> Doomed:
    """Returns what to destroy of `memory`; the same each time, also where a part of it was destroyed before.

    Statistics and reference text are not destroyed, because they are about the base model, which other memories
    may use.
    """
    all_of_it = stitched(log.ancestry(memory), log.begun(memory))
    alone = and_(all_of_it, not_(stitched(_in_use(log, memory))))
    sealed = select(events.c.fact, events.c.type, alone.label("alone")).where(all_of_it, events.c.type.in_(BEGINNINGS))
    deltas = select(events.c.payload, alone.label("alone")).where(events.c.type.in_(DELTAS))
    with reading(log.engine).connect() as connection:
        begun = connection.execute(sealed.order_by(events.c.version)).all()
        named: dict[Digest, bool] = {}
        for payload, is_own in connection.execute(deltas):
            delta = Digest(json.loads(payload)["delta"])
            named[delta] = named.get(delta, True) and bool(is_own)
    return Doomed(
        keys=tuple(dict.fromkeys(FactId(row.fact) for row in begun if row.alone)),
        deltas=tuple(sorted(delta for delta, is_own in named.items() if is_own)),
        kept=sum(not row.alone for row in begun if row.type == FactAdded.__name__),
    )


def removed_meanwhile(log: EventLog, position: int) -> set[Digest]:
    """Returns deltas that deletions have removed or will remove: those in progress, or ended after `position`."""
    under_way = [listed.memory for listed in log.listed() if listed.deleted]
    gone = {delta for memory in under_way for delta in doomed(log, memory).deltas}
    receipts = select(events.c.payload).where(events.c.position > position, events.c.type == MemoryPurged.__name__)
    with reading(log.engine).connect() as connection:
        for (payload,) in connection.execute(receipts):
            gone.update(json.loads(payload)["artifacts"])
    return gone


def _in_use(log: EventLog, memory: MemoryId) -> list[Segment]:
    """Returns where the events of `memory` stand that other memories share, deleted ones left out."""
    owners = {segment.memory for segment in log.ancestry(memory)}
    ends: dict[tuple[MemoryId, int], int] = {}  # merged, because all of them go into one statement
    for listed in log.listed():
        if listed.memory == memory or listed.deleted:
            continue
        shared = [segment for segment in log.ancestry(listed.memory) if segment.memory in owners]
        begun = log.begun(listed.memory) if shared else 0
        for segment in shared:
            key = segment.memory, max(segment.after, begun)
            ends[key] = max(ends.get(key, 0), segment.last(listed.version))
    return [Segment(owner, after, until) for (owner, after), until in ends.items()]
