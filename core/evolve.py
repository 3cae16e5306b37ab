"""`evolve`: how each event changes the state of a memory.

A state is never changed in place. `fold` thaws one into a draft, applies a run of events, and freezes it again, so
folding n events costs O(n) and not O(n * facts). What happens in a sleep is in `core/evolve_sleep.py`, what clients do
to what was told in `core/evolve_history.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.deletion_events import MemoryDeleted, MemoryPurged
from core.draft import Draft
from core.events import (
    EditComputed,
    Event,
    FactAdded,
    FactInjected,
    MemoryCreated,
    StatisticsPrepared,
    WorkFailed,
)
from core.evolve_history import apply_to_history, leave
from core.evolve_sleep import apply_in_sleep
from core.history_events import (
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
from core.memory import NOTHING, Edit, FactState, Memory, Request, Status, Withdrawal, said_key
from core.work import Erase, Withdraw


def fold(events: Iterable[Event], onto: Memory = NOTHING) -> Memory:
    """The state after `events`, starting from `onto`; never refuses what a log can hold."""
    draft = Draft(onto)
    for event in events:
        _apply(draft, event)
    return draft.freeze()


def evolve(memory: Memory, event: Event) -> Memory:
    """The state after one more event."""
    return fold((event,), onto=memory)


def _apply(draft: Draft, event: Event) -> None:
    draft.version += 1
    match event:
        case FactAdded():
            _fact_added(draft, event)
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
            _edit_computed(draft, event)
        case MemoryCreated():
            if draft.purged:  # of the memory that had the name before, nothing but the count of versions is left
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
            _work_failed(draft, event)
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
        case _:
            apply_in_sleep(draft, event)


def _edit_computed(draft: Draft, event: EditComputed) -> None:
    draft.edits[event.edit] = Edit(
        id=event.edit, delta=event.delta, modules=event.modules, columns=event.columns, version=draft.version
    )
    scales = {columns.fact: columns.scale for columns in event.columns}
    draft.carried_by((event.edit,), scales)
    for replaced in event.replaced:
        leave(draft, replaced, Withdrawal.SUPERSEDED)
    draft.weights = event.weights_after
    draft.crowding, draft.unchanged = event.crowding, event.unchanged
    if draft.sleep is not None:
        draft.sleep = draft.sleep.refreshed_by(tuple(scales))


def _fact_added(draft: Draft, event: FactAdded) -> None:
    fact = event.statement
    if blank := fact.id != event.fact:  # its key is gone, which the log may say later, or in another memory alone
        fact = replace(fact, id=event.fact)
    draft.facts[event.fact] = FactState(fact=fact, source=event.source, added=draft.version, erase=blank)
    draft.pending[event.fact] = None
    draft.said[said_key(fact.subject, fact.relation)] = event.fact
    earlier = draft.requests.get(event.request)
    draft.requests[event.request] = Request(
        digest=event.request_digest, facts=(*earlier.facts, event.fact) if earlier else (event.fact,)
    )


def _work_failed(draft: Draft, event: WorkFailed) -> None:
    if draft.sleep is not None and not event.facts:
        draft.sleep = replace(draft.sleep, failures=event.attempt)
    elif not event.facts:
        draft.failures = event.attempt
        draft.failure = event.message
    for fact in event.facts:
        draft.change(fact, failures=event.attempt, failure=event.message)
        if event.parked and event.work == Withdraw.name:
            draft.leaving.pop(fact, None)
        elif event.parked and event.work == Erase.name:
            draft.erasing.pop(fact, None)
        elif event.parked:
            draft.change(fact, status=Status.PARKED)
            draft.pending.pop(fact, None)
