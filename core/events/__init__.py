"""Events: what happened to a memory, in the past tense. An event type is never edited once it has shipped.

Every event records its numbers even if a rule of today implies them, because the rule may change and the log may not.
`SEALED` names the fields that hold words. The store encrypts them under the data key of the fact that they are of, or
of the id in the field that `KEY` names, so that destroying the key erases the words and the log can still be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from core.events.conversation import ConversationEvent
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
    | ConversationEvent
    | DeletionEvent
)

EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who or what caused an event: part of every event's metadata."""

    actor: str
    request: str = ""
    causation: str = ""  # id of the event that led to this one
    correlation: str = ""  # id of the first event of the chain, or one chosen by the client


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the log holds it.

    Attributes:
        version: number of the event within its memory, from 1 without gaps.
        position: number of the event among those of all memories, from 1 without gaps.
        recorded_at: UTC, ISO 8601 with microseconds and `Z`. Nothing is ordered by it.
        schema: schema number at which the event was stored.
        previous_hash, hash: hash chain over every stored column, across all memories, by position.
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
