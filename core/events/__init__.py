"""What happened, in the past tense. Plain values, never edited once shipped.

Every event carries its numbers even where a rule implies them today: the rule may be tuned, the log may not.
`SEALED` names the fields that hold a fact's own words; the store keeps them under that fact's data key, so that
throwing the key away erases the words and leaves the log verifiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from core.events.deletion import DeletionEvent
from core.events.facts import EditComputed, FactAdded, FactInjected, WorkFailed
from core.events.history import HistoryEvent
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import SleepEvent
from core.ids import Digest, EventId, MemoryId

Event = (
    MemoryCreated
    | StatisticsPrepared
    | FactAdded
    | EditComputed
    | FactInjected
    | WorkFailed
    | SleepEvent
    | HistoryEvent
    | DeletionEvent
)

EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who brought an event about: part of every event's metadata."""

    actor: str
    request: str = ""
    causation: str = ""  # the event that led to this one
    correlation: str = ""  # the first event of the chain, or the client's own id


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the log holds it.

    Attributes:
        version: how many events its memory had once this one was appended (1 for the first).
        position: its place among the events of all memories, dense from 1.
        recorded_at: UTC, ISO 8601 with microseconds and `Z`. Nothing is ordered by it.
        previous_hash, hash: the chain over every stored column, across all memories, by position.
    """

    id: EventId
    memory: MemoryId
    version: int
    position: int
    recorded_at: str
    cause: Cause
    schema: int
    event: Event
    previous_hash: Digest
    hash: Digest
