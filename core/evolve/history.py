"""`evolve` for checkpoints and forks, and for facts and adapters that leave the weights. Pure; see `core/evolve/`."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from core.events.history import (
    AdaptersCompacted,
    CheckpointMarked,
    FactErased,
    FactRetracted,
    FactRetried,
    FactsRepeated,
    FactSuperseded,
    FactWithdrawn,
    HistoryEvent,
    MemoryForked,
    MemoryRebased,
)
from core.evolve.draft import Draft
from core.facts import Fact, Source, Wordings
from core.ids import Digest, FactId
from core.state.memory import Adapter, Checkpoint, Request, Status, Withdrawal, statement_key


def apply_to_history(draft: Draft, event: HistoryEvent) -> None:
    """Applies one event of `core/events/history.py` to the draft."""
    match event:
        case CheckpointMarked():
            draft.checkpoints[event.name] = Checkpoint(
                name=event.name, version=event.version, weights=event.weights, marked=draft.version
            )
        case MemoryForked():
            draft.forked = event
        case MemoryRebased():
            assert draft.created is not None
            base = replace(draft.created.base, name=event.name, revision=event.revision)
            draft.created = replace(draft.created, base=base)
        case FactsRepeated():
            draft.requests[event.request] = Request(digest=Digest(""), repeated=event.facts)
            draft.said_again(event.facts)
        case FactSuperseded():
            draft.change(event.fact, successor=event.by)
            draft.change(event.by, predecessor=event.fact)
            _no_longer_live(draft, event.fact)
        case FactRetracted():
            _retracted(draft, event)
        case FactRetried():
            _retried(draft, event)
        case FactWithdrawn():
            _withdrawn(draft, event)
        case FactErased():
            _erased(draft, event.fact)
        case AdaptersCompacted():
            _compacted(draft, event)
        case _:
            assert_never(event)


def leave(draft: Draft, fact: FactId, how: Withdrawal) -> None:
    """Puts the columns that carry `fact` out of force and marks it as withdrawn."""
    draft.carried_by((), {fact: 0.0})
    draft.leave_adapters((fact,))
    draft.change(fact, status=Status.WITHDRAWN, stage=0, failures=0, failure="", withdrawal=how)
    draft.pending_withdrawal.pop(fact, None)


def _retracted(draft: Draft, event: FactRetracted) -> None:
    """Retracts a fact, to be erased too if the event says so; one that is withdrawn already may be erased later."""
    if event.request:
        draft.requests[event.request] = Request(digest=event.request_digest, facts=(event.fact,), retracts=True)
    if event.erase:
        draft.pending_erasure[event.fact] = None
        draft.change(event.fact, erase=True, failures=0, failure="")
    if draft.facts[event.fact].status is not Status.WITHDRAWN:
        _no_longer_live(draft, event.fact)


def _retried(draft: Draft, event: FactRetried) -> None:
    """Makes the work on a fact that failed for good pending again: to write, withdraw or erase it."""
    if event.request:
        earlier = draft.requests.get(event.request)
        facts = (*earlier.facts, event.fact) if earlier else (event.fact,)
        draft.requests[event.request] = Request(digest=event.request_digest, facts=facts, retries=True)
    state = draft.facts[event.fact]
    draft.change(event.fact, failures=0, failure="")
    if state.status is Status.PARKED:
        draft.change(event.fact, status=Status.PENDING)
        draft.pending[event.fact] = None
    elif state.in_weights:
        draft.pending_withdrawal[event.fact] = None
    else:
        draft.pending_erasure[event.fact] = None


def _no_longer_live(draft: Draft, fact: FactId) -> None:
    """Marks `fact` as retracted: it awaits withdrawal if it is in the weights, and otherwise is withdrawn at once."""
    state = draft.facts[fact]
    key = statement_key(state.fact.subject, state.fact.relation)
    if draft.by_statement.get(key) == fact:
        del draft.by_statement[key]
    draft.pending.pop(fact, None)
    if draft.sleep is not None:
        draft.sleep = draft.sleep.without(fact)
    draft.change(fact, retracted=state.retracted or draft.version, failures=0, failure="")
    if state.edits and not state.in_weights:  # a fork or an archive may end between an edit and its FactInjected
        draft.change(fact, status=Status.INJECTED)
    if draft.facts[fact].in_weights:
        draft.pending_withdrawal[fact] = None
    else:
        draft.change(fact, status=Status.WITHDRAWN, withdrawal=Withdrawal.NEVER_WRITTEN)


def _withdrawn(draft: Draft, event: FactWithdrawn) -> None:
    """Marks a fact as withdrawn and records how it left the weights."""
    edit = draft.edits.get(event.edit) if event.edit is not None else None
    if edit is None:  # nothing was computed on top of its columns
        leave(draft, event.fact, Withdrawal.COLUMNS)
        draft.unchanged = None
    elif all(columns.fact != event.fact for columns in edit.columns):  # the edit of its successor
        leave(draft, event.fact, Withdrawal.SUPERSEDED)
    else:  # a counter-edit, whose columns are those of this fact and stay in force
        how = Withdrawal.COUNTER_EDIT
        draft.change(event.fact, status=Status.WITHDRAWN, stage=0, failures=0, failure="", withdrawal=how)
        draft.pending_withdrawal.pop(event.fact, None)
    draft.weights, draft.key_occupancy = event.weights_after, event.key_occupancy


def _erased(draft: Draft, fact: FactId) -> None:
    """Drops the words of a fact, its source, and the digests of requests by which the words could be guessed."""
    draft.pending_erasure.pop(fact, None)
    draft.change(fact, fact=_blank(fact), source=Source(), erased=True, failures=0, failure="")
    for name, request in draft.requests.items():
        if fact in request.facts:
            draft.requests[name] = replace(request, digest=Digest(""))


def _compacted(draft: Draft, event: AdaptersCompacted) -> None:
    """Puts one adapter in the place of several; it counts as trained on all their facts when the last of them was."""
    replaced = [draft.adapters[adapter] for adapter in event.replaced]
    facts = dict.fromkeys(fact for adapter in replaced for fact in adapter.facts)
    trained = max((adapter.version for adapter in replaced), default=draft.version)
    for adapter in event.replaced:
        del draft.adapters[adapter]
    draft.adapters[event.adapter] = Adapter(
        id=event.adapter,
        delta=event.delta,
        modules=event.modules,
        rank=event.rank,
        version=trained,
        facts=tuple(facts),
    )
    draft.weights = event.weights_after


def _blank(fact: FactId) -> Fact:
    """Returns the fact without words."""
    return Fact(id=fact, subject="", relation="", object="", wordings=Wordings(statements=(), questions=(), answer=""))
