"""`evolve` for facts on their way into the weights. Pure; see `core/evolve/`."""

from __future__ import annotations

from dataclasses import replace

from core.events.facts import EditComputed, EditKind, FactAdded, WorkFailed
from core.evolve.conversation import erasing_failed, reading_failed
from core.evolve.draft import Draft
from core.evolve.history import leave
from core.state.memory import Edit, FactState, Request, Status, Withdrawal, statement_key
from core.state.work import Erase, EraseTexts, Read, Withdraw


def edit_computed(draft: Draft, event: EditComputed) -> None:
    """Puts an edit in force, and the edits that it replaces out of force."""
    draft.edits[event.edit] = Edit(
        id=event.edit, delta=event.delta, modules=event.modules, columns=event.columns, version=draft.version
    )
    scales = {columns.fact: columns.scale for columns in event.columns}
    draft.carried_by((event.edit,), scales)
    if event.kind is EditKind.REFRESH:
        draft.leave_adapters(scales)
    if event.kind is EditKind.REFRESH and draft.sleep is None:  # beside a withdrawal; in a sleep, events say so
        for fact in scales:
            draft.change(fact, status=Status.INJECTED, stage=0)
    for replaced in event.replaced:
        leave(draft, replaced, Withdrawal.SUPERSEDED)
    draft.weights = event.weights_after
    draft.key_occupancy, draft.unchanged = event.key_occupancy, event.unchanged
    if draft.sleep is not None:
        draft.sleep = draft.sleep.refreshed_by(tuple(scales))


def fact_added(draft: Draft, event: FactAdded) -> None:
    """Adds a pending fact. One that cannot be unsealed has no words and counts as one to be erased."""
    fact = event.statement
    # the data key may be gone before a FactErased says so, or the FactErased may be in another memory that shares it
    key_is_gone = fact.id != event.fact
    if key_is_gone:
        fact = replace(fact, id=event.fact)
    draft.facts[event.fact] = FactState(
        fact=fact, source=event.source, added=draft.version, origin=event.origin, erase=key_is_gone
    )
    draft.pending[event.fact] = None
    draft.by_statement[statement_key(fact.subject, fact.relation)] = event.fact
    if not event.request:  # learned from a turn of a conversation
        return
    earlier = draft.requests.get(event.request)
    draft.requests[event.request] = Request(
        digest=event.request_digest, facts=(*earlier.facts, event.fact) if earlier else (event.fact,)
    )


def work_failed(draft: Draft, event: WorkFailed) -> None:
    """Counts a failed attempt for what it was about; ends the work on parked facts."""
    if event.work == Read.name:
        reading_failed(draft, event.attempt)
    elif event.work == EraseTexts.name:
        erasing_failed(draft, event.attempt)
    elif draft.sleep is not None and not event.facts:
        draft.sleep = replace(draft.sleep, failures=event.attempt)
    elif not event.facts:
        draft.failures = event.attempt
        draft.failure = event.message
    for fact in event.facts:
        draft.change(fact, failures=event.attempt, failure=event.message)
        if event.parked and event.work == Withdraw.name:
            draft.pending_withdrawal.pop(fact, None)
        elif event.parked and event.work == Erase.name:
            draft.pending_erasure.pop(fact, None)
        elif event.parked:
            draft.change(fact, status=Status.PARKED)
            draft.pending.pop(fact, None)
