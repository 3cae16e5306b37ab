"""`evolve`: returns the state of a memory after an event. Pure; refuses nothing.

A `Memory` is immutable. `fold` copies one into a draft, applies all events to it and freezes it again, so that folding
n events costs O(n) and not O(n * facts). Each module here applies the events of the module of that name in
`core/events/`.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.events import Event
from core.events.conversation import ConversationClosed, ConversationErased, ModelReplied, TurnRead, UserSpoke
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.facts import EditComputed, FactAdded, FactInjected, WorkFailed
from core.events.history import (
    AdaptersCompacted,
    CheckpointMarked,
    FactErased,
    FactRetracted,
    FactRetried,
    FactsRepeated,
    FactSuperseded,
    FactWithdrawn,
    MemoryForked,
    MemoryRebased,
)
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.evolve import facts
from core.evolve.conversation import apply_to_conversation
from core.evolve.draft import Draft
from core.evolve.history import apply_to_history
from core.evolve.sleep import apply_in_sleep
from core.state.memory import NOTHING, Memory, Status


def fold(events: Iterable[Event], onto: Memory = NOTHING) -> Memory:
    """Returns the state after `events`, starting from `onto`."""
    draft = Draft(onto)
    for event in events:
        _apply(draft, event)
    return draft.freeze()


def evolve(memory: Memory, event: Event) -> Memory:
    """Returns the state after one more event."""
    return fold((event,), onto=memory)


def _apply(draft: Draft, event: Event) -> None:
    """Applies one event to the draft."""
    draft.version += 1
    match event:
        case FactAdded():
            facts.fact_added(draft, event)
        case FactInjected():
            draft.change(
                event.fact,
                status=Status.INJECTED,
                stage=event.stage,
                scale=event.scale,
                edits=(event.edit,),
                failures=0,
                failure="",
            )
            draft.pending.pop(event.fact, None)
        case EditComputed():
            facts.edit_computed(draft, event)
        case MemoryCreated():
            if draft.purged:  # a deleted memory had this name: versions are counted on, all else is dropped
                draft.restart(Memory(version=draft.version, begun=draft.version - 1))
            draft.created = event
        case MemoryDeleted():
            version, created, forked = draft.version, draft.created, draft.forked
            draft.restart(Memory(version=version, created=created, forked=forked, deleted=version, begun=draft.begun))
        case MemoryPurged():
            draft.purged = True
            draft.failures, draft.failure = 0, ""
        case StatisticsPrepared():
            draft.statistics = event
            draft.weights = event.weights
            draft.failures, draft.failure = 0, ""
        case WorkFailed():
            facts.work_failed(draft, event)
        case (
            CheckpointMarked()
            | MemoryForked()
            | MemoryRebased()
            | FactsRepeated()
            | FactSuperseded()
            | FactRetracted()
            | FactRetried()
            | FactWithdrawn()
            | FactErased()
            | AdaptersCompacted()
        ):
            apply_to_history(draft, event)
        case UserSpoke() | ModelReplied() | TurnRead() | ConversationClosed() | ConversationErased():
            apply_to_conversation(draft, event)
        case _:
            apply_in_sleep(draft, event)
