"""`evolve` for events of a sleep. Pure; see `core/evolve/`."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from core.events.sleep import (
    AdapterTrained,
    ControlsMeasured,
    FactAdvanced,
    FactAudited,
    FactDissolved,
    FactRefreshed,
    FactRetreated,
    FactsRescaled,
    SleepCompleted,
    SleepEvent,
    SleepKind,
    SleepRolledBack,
    SleepStarted,
)
from core.evolve.draft import Draft
from core.state.memory import Adapter, Night, Request, Status, Undo, Withdrawal
from core.state.sleep import Occasion, Sleep
from core.unchanged import Unchanged


def apply_in_sleep(draft: Draft, event: SleepEvent) -> None:
    """Applies one event of a sleep to the draft."""
    match event:
        case SleepStarted():
            _sleep_started(draft, event)
        case FactAudited():
            _fact_audited(draft, event)
        case ControlsMeasured():
            draft.sleep = draft.asleep.controls_measured(event)
            draft.unchanged = _unchanged(event)
        case FactRefreshed():
            draft.change(event.fact, status=Status.INJECTED, stage=event.stage, scale=event.scale)
        case AdapterTrained():
            if event.rank:  # 0 where all facts were retracted meanwhile
                draft.adapters[event.adapter] = Adapter(
                    id=event.adapter,
                    delta=event.delta,
                    modules=event.modules,
                    rank=event.rank,
                    version=draft.version,
                    facts=(*event.facts, *event.rehearsed),
                    columns=event.columns,
                )
            draft.weights = event.weights_after
            draft.sleep = draft.asleep.adapter_trained(event.weights_before)
        case FactsRescaled():
            for new in event.scales:
                draft.change(new.fact, scale=new.scale)
            draft.weights, draft.key_occupancy = event.weights_after, event.key_occupancy
            draft.sleep = draft.asleep.facts_rescaled(draft.version)
        case FactAdvanced():
            draft.change(event.fact, stage=event.stage)
            draft.sleep = replace(draft.asleep, advanced=(*draft.asleep.advanced, event.fact))
        case FactRetreated():
            draft.change(event.fact, stage=event.stage)
            draft.sleep = replace(draft.asleep, retreated=(*draft.asleep.retreated, event.fact))
        case FactDissolved():
            draft.carried_by((), {event.fact: 0.0})
            if draft.facts[event.fact].status is Status.WITHDRAWN:  # its counter-edit is dissolved
                draft.change(event.fact, withdrawal=Withdrawal.UNLEARNED)
                # the first audit may have queued it for another withdrawal; training has removed it since
                draft.pending_withdrawal.pop(event.fact, None)
            else:
                draft.change(event.fact, status=Status.DISSOLVED)
            draft.sleep = replace(draft.asleep, dissolved=(*draft.asleep.dissolved, event.fact))
        case SleepCompleted():
            draft.slept = draft.version if draft.asleep.started.kind == SleepKind.SLEEP else draft.slept
            _wake(draft, completed=True, reason=event.remark)
        case SleepRolledBack():
            _roll_back(draft)
            _wake(draft, completed=False, reason=event.message)
        case _:
            assert_never(event)


def _sleep_started(draft: Draft, event: SleepStarted) -> None:
    """Begins a sleep and keeps what a rollback of it restores."""
    draft.undo = Undo(
        version=draft.version - 1,
        facts=MappingProxyType(dict(draft.facts)),
        pending_withdrawal=MappingProxyType(dict(draft.pending_withdrawal)),
        edits=MappingProxyType(dict(draft.edits)),
        adapters=MappingProxyType(dict(draft.adapters)),
        weights=draft.weights,
        key_occupancy=draft.key_occupancy,
        unchanged=draft.unchanged,
    )
    draft.sleep = Sleep(started=event, began=draft.version)
    if event.request:
        draft.requests[event.request] = Request(digest=event.request_digest, sleep=event.sleep)


def _fact_audited(draft: Draft, event: FactAudited) -> None:
    """Adds a verdict to the sleep. A withdrawn fact that the model says again is queued for another withdrawal."""
    state, at_gate = draft.facts[event.fact], event.occasion == Occasion.GATE
    withdrawn = state.status is Status.WITHDRAWN
    if at_gate or not state.retracted:
        draft.audited(event)
    if not at_gate:
        draft.change(event.fact, healthy=event.healthy, known_to_base=event.known)
    if withdrawn and not at_gate:
        draft.pending_withdrawal.pop(event.fact, None)
        if not event.healthy:
            draft.pending_withdrawal[event.fact] = None


def _unchanged(measured: ControlsMeasured) -> Unchanged:
    """Returns the locality that an audit measured."""
    asked = sum(control.kind == "stranger" for control in measured.controls)
    return Unchanged(
        neighbours=measured.neighbours,
        strangers=measured.strangers,
        unanswered=measured.unanswered,
        asked=asked,
        contamination=measured.distance.contamination if measured.distance else None,
    )


def _roll_back(draft: Draft) -> None:
    """Restores what was there before the sleep, except for what clients did during it."""
    undo = draft.undo
    assert undo is not None
    for fact, before in undo.facts.items():  # facts added during the sleep are not in `undo` and stay as they are
        now = draft.facts[fact]
        withdrawn_meanwhile = now.status is Status.WITHDRAWN and not before.in_weights and not before.edits
        if not withdrawn_meanwhile:
            draft.facts[fact] = replace(
                before,
                fact=now.fact,  # without its words if it is erased
                source=now.source,
                status=Status.PENDING if fact in draft.pending else before.status,  # a client may have retried it
                failures=now.failures,
                failure=now.failure,
                retracted=now.retracted,
                successor=now.successor,
                predecessor=now.predecessor,
                erase=now.erase,
                erased=now.erased,
                said=now.said,
            )
    # audits of this sleep may have queued withdrawn facts again, but they probed weights that are rolled back
    leaving = [fact for fact in undo.pending_withdrawal if draft.facts[fact].status is Status.WITHDRAWN]
    leaving += [fact for fact in draft.pending_withdrawal if draft.facts[fact].status is not Status.WITHDRAWN]
    draft.pending_withdrawal = dict.fromkeys(leaving)
    draft.edits, draft.adapters = dict(undo.edits), dict(undo.adapters)
    draft.weights, draft.key_occupancy = undo.weights, undo.key_occupancy
    draft.unchanged = undo.unchanged


def _wake(draft: Draft, *, completed: bool, reason: str) -> None:
    """Ends the sleep in progress."""
    asleep = draft.asleep
    draft.nights[asleep.id] = Night(
        kind=asleep.started.kind,
        trigger=asleep.started.trigger,
        began=asleep.began,
        ended=draft.version,
        completed=completed,
        reason=reason,
    )
    draft.sleep = draft.undo = None
