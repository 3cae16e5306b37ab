"""What the tests of the log append."""

from sqlalchemy import insert, update

from core.events import Cause, Event
from core.facts import Fact
from core.ids import Digest, FactId, MemoryId
from store.clock import next_event_id, next_uuid, now
from store.database.schema import data_keys, events, head
from store.log.event_log import EventLog
from store.log.hash_chain import START, Value, complete_row
from store.log.rows import NewEvent, prepare, to_row
from tests.core.samples import CREATED, added, fact

DEMO = MemoryId("demo")
OTHER = MemoryId("other")
CAUSE = Cause(actor="tester", request="request-1", causation="before", correlation="chain")


def new(event: Event) -> NewEvent:
    return NewEvent(id=next_event_id(), event=event, cause=CAUSE)


def a_fact(number: int = 0) -> Fact:
    return fact(FactId(next_uuid()), f"Aria Number{number}", "lives in", "Portland")


def told(number: int = 0) -> NewEvent:
    """A new fact was added."""
    return new(added(a_fact(number), request=f"request-{number}"))


def throw_key_away(log: EventLog, fact: FactId) -> None:
    with log.engine.begin() as connection:
        connection.execute(update(data_keys).where(data_keys.c.fact == fact).values(key=None))


def append_raw(log: EventLog, previous: Digest = START, **columns: Value) -> None:
    """A first event that this version would not write, soundly chained."""
    row: dict[str, Value] = (
        to_row(prepare(new(CREATED)), None, memory=DEMO, version=1, position=1, recorded_at=now()) | columns
    )
    tail = complete_row(row, previous)
    with log.engine.begin() as connection:
        connection.execute(insert(events), row)
        connection.execute(update(head).values(position=1, hash=tail))
