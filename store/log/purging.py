"""What goes with a memory that was deleted: words and deltas that no other memory shares."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import and_, not_, select

from core.events.deletion import MemoryPurged
from core.events.facts import EditComputed, FactAdded
from core.events.history import AdaptersCompacted
from core.events.sleep import AdapterTrained
from core.ids import Digest, FactId, MemoryId
from store.database.engine import reading
from store.database.schema import events
from store.log.ancestry import Segment, stitched
from store.log.event_log import EventLog

DELTAS = tuple(kind.__name__ for kind in (EditComputed, AdapterTrained, AdaptersCompacted))


@dataclass(frozen=True, slots=True)
class Doomed:
    """What only a deleted memory has.

    Attributes:
        facts: whose data keys are to be destroyed.
        deltas: artifacts that no event of another memory names.
        kept: how many facts of it another memory shares.
    """

    facts: tuple[FactId, ...]
    deltas: tuple[Digest, ...]
    kept: int


def doomed(log: EventLog, memory: MemoryId) -> Doomed:
    """What to destroy of `memory`. The same each time, also when some of it is destroyed already.

    Its statistics and its ordinary text are not among it: they are about the base model, and others may stand on it.
    """
    own = stitched(log.ancestry(memory), log.begun(memory))
    alone = and_(own, not_(stitched(_in_use(log, memory))))
    facts = select(events.c.fact, alone.label("alone")).where(own, events.c.type == FactAdded.__name__)
    deltas = select(events.c.payload, alone.label("alone")).where(events.c.type.in_(DELTAS))
    with reading(log.engine).connect() as connection:
        told = connection.execute(facts.order_by(events.c.version)).all()
        named: dict[Digest, bool] = {}
        for payload, is_own in connection.execute(deltas):
            delta = Digest(json.loads(payload)["delta"])
            named[delta] = named.get(delta, True) and bool(is_own)
    return Doomed(
        facts=tuple(FactId(row.fact) for row in told if row.alone),
        deltas=tuple(sorted(delta for delta, is_own in named.items() if is_own)),
        kept=sum(not row.alone for row in told),
    )


def removed_meanwhile(log: EventLog, position: int) -> set[Digest]:
    """Deltas that deletions under way, or ended since the event at `position`, have removed or are about to."""
    under_way = [listed.memory for listed in log.listed() if listed.deleted]
    gone = {delta for memory in under_way for delta in doomed(log, memory).deltas}
    receipts = select(events.c.payload).where(events.c.position > position, events.c.type == MemoryPurged.__name__)
    with reading(log.engine).connect() as connection:
        for (payload,) in connection.execute(receipts):
            gone.update(json.loads(payload)["artifacts"])
    return gone


def _in_use(log: EventLog, memory: MemoryId) -> list[Segment]:
    """Where those events of `memory` stand that memories which were not deleted share with it."""
    owners = {segment.memory for segment in log.ancestry(memory)}
    ends: dict[tuple[MemoryId, int], int] = {}  # as few as can be: all of them go into one statement
    for listed in log.listed():
        if listed.memory == memory or listed.deleted:
            continue
        shared = [segment for segment in log.ancestry(listed.memory) if segment.memory in owners]
        begun = log.begun(listed.memory) if shared else 0
        for segment in shared:
            key = segment.memory, max(segment.after, begun)
            ends[key] = max(ends.get(key, 0), segment.last(listed.version))
    return [Segment(owner, after, until) for (owner, after), until in ends.items()]
