"""`evolve`: how each event changes the state of a memory.

A state is never changed in place. `fold` thaws one into a draft, applies a run of events, and freezes it again, so
folding n events costs O(n) and not O(n * facts).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from core.events import (
    EditComputed,
    Event,
    FactAdded,
    FactInjected,
    MemoryCreated,
    StatisticsPrepared,
    WorkFailed,
)
from core.ids import EditId, FactId
from core.memory import NOTHING, Adapter, Edit, FactState, Memory, Night, Request, Status, Undo, said_key
from core.sleep import Occasion, Sleep
from core.sleep_events import (
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
    SleepRolledBack,
    SleepStarted,
)


class _Draft:
    """A thawed state, private to this module: the same fields as `Memory`, with dictionaries that may change."""

    def __init__(self, memory: Memory) -> None:
        self.version = memory.version
        self.created = memory.created
        self.statistics = memory.statistics
        self.statistics_failures = memory.statistics_failures
        self.statistics_failure = memory.statistics_failure
        self.statistics_parked = memory.statistics_parked
        self.facts = dict(memory.facts)
        self.pending = dict(memory.pending)
        self.said = dict(memory.said)
        self.requests = dict(memory.requests)
        self.edits = dict(memory.edits)
        self.adapters = dict(memory.adapters)
        self.weights = memory.weights
        self.crowding = memory.crowding
        self.sleep = memory.sleep
        self.undo = memory.undo
        self.nights = dict(memory.nights)
        self.slept = memory.slept

    def freeze(self) -> Memory:
        return Memory(
            version=self.version,
            created=self.created,
            statistics=self.statistics,
            statistics_failures=self.statistics_failures,
            statistics_failure=self.statistics_failure,
            statistics_parked=self.statistics_parked,
            facts=MappingProxyType(self.facts),
            pending=MappingProxyType(self.pending),
            said=MappingProxyType(self.said),
            requests=MappingProxyType(self.requests),
            edits=MappingProxyType(self.edits),
            adapters=MappingProxyType(self.adapters),
            weights=self.weights,
            crowding=self.crowding,
            sleep=self.sleep,
            undo=self.undo,
            nights=MappingProxyType(self.nights),
            slept=self.slept,
        )

    def apply(self, event: Event) -> None:
        self.version += 1
        match event:
            case FactAdded():
                self._fact_added(event)
            case FactInjected():
                state = self.facts[event.fact]
                self.facts[event.fact] = replace(
                    state,
                    status=Status.INJECTED,
                    stage=event.stage,
                    scale=event.scale,
                    edits=(event.edit,),
                    failures=0,
                    failure="",
                )
                self.pending.pop(event.fact, None)
            case EditComputed():
                self._edit_computed(event)
            case MemoryCreated():
                self.created = event
            case StatisticsPrepared():
                self.statistics = event
                self.weights = event.weights
                self.statistics_failures, self.statistics_failure, self.statistics_parked = 0, "", False
            case WorkFailed():
                self._work_failed(event)
            case _:
                self._apply_in_sleep(event)

    def _apply_in_sleep(self, event: SleepEvent) -> None:
        match event:
            case SleepStarted():
                self._sleep_started(event)
            case FactAudited():
                self._fact_audited(event)
            case ControlsMeasured():
                self.sleep = self._asleep.controls_measured(event)
            case FactRefreshed():
                state = self.facts[event.fact]
                self.facts[event.fact] = replace(state, status=Status.INJECTED, stage=event.stage, scale=event.scale)
            case AdapterTrained():
                self.adapters[event.adapter] = Adapter(
                    id=event.adapter, delta=event.delta, modules=event.modules, rank=event.rank, version=self.version
                )
                self.weights = event.weights_after
                self.sleep = self._asleep.adapter_trained()
            case FactsRescaled():
                for new in event.scales:
                    self.facts[new.fact] = replace(self.facts[new.fact], scale=new.scale)
                self.weights, self.crowding = event.weights_after, event.crowding
                self.sleep = self._asleep.facts_rescaled()
            case FactAdvanced():
                self.facts[event.fact] = replace(self.facts[event.fact], stage=event.stage)
                self.sleep = replace(self._asleep, advanced=(*self._asleep.advanced, event.fact))
            case FactRetreated():
                self.facts[event.fact] = replace(self.facts[event.fact], stage=event.stage)
                self.sleep = replace(self._asleep, retreated=(*self._asleep.retreated, event.fact))
            case FactDissolved():
                self._carried_by((event.fact,), ())
                self.facts[event.fact] = replace(self.facts[event.fact], status=Status.DISSOLVED)
                self.sleep = replace(self._asleep, dissolved=(*self._asleep.dissolved, event.fact))
            case SleepCompleted():
                self.slept = self.version if self._asleep.started.kind == "sleep" else self.slept
                self._wake(completed=True, reason=event.remark)
            case SleepRolledBack():
                self._roll_back()
                self._wake(completed=False, reason=event.message)
            case _:
                assert_never(event)

    @property
    def _asleep(self) -> Sleep:
        assert self.sleep is not None
        return self.sleep

    def _edit_computed(self, event: EditComputed) -> None:
        self.edits[event.edit] = Edit(
            id=event.edit, delta=event.delta, modules=event.modules, columns=event.columns, version=self.version
        )
        facts = tuple(columns.fact for columns in event.columns)
        self._carried_by(facts, (event.edit,))
        for columns in event.columns:
            self.facts[columns.fact] = replace(self.facts[columns.fact], scale=columns.scale)
        self.weights = event.weights_after
        self.crowding = event.crowding
        if self.sleep is not None:
            self.sleep = self.sleep.refreshed_by(facts)

    def _carried_by(self, facts: tuple[FactId, ...], edits: tuple[EditId, ...]) -> None:
        """From now on `facts` are carried by `edits` alone; edits that carry nothing any more are forgotten."""
        before = {edit for fact in facts for edit in self.facts[fact].edits} - set(edits)
        for fact in facts:
            self.facts[fact] = replace(self.facts[fact], edits=edits)
        for edit in before:
            if not any(edit in self.facts[columns.fact].edits for columns in self.edits[edit].columns):
                del self.edits[edit]

    def _sleep_started(self, event: SleepStarted) -> None:
        self.undo = Undo(
            version=self.version - 1,
            facts=MappingProxyType(dict(self.facts)),
            edits=MappingProxyType(dict(self.edits)),
            adapters=MappingProxyType(dict(self.adapters)),
            weights=self.weights,
            crowding=self.crowding,
        )
        self.sleep = Sleep(started=event, began=self.version)
        if event.request:
            self.requests[event.request] = Request(digest=event.request_digest, sleep=event.sleep)

    def _fact_audited(self, event: FactAudited) -> None:
        self.sleep = self._asleep.fact_audited(event, self.version)
        if event.occasion != Occasion.GATE:
            state = self.facts[event.fact]
            self.facts[event.fact] = replace(state, healthy=event.healthy, known=event.known)

    def _roll_back(self) -> None:
        undo = self.undo
        assert undo is not None
        self.facts |= undo.facts  # facts told during the sleep stay
        self.edits, self.adapters = dict(undo.edits), dict(undo.adapters)
        self.weights, self.crowding = undo.weights, undo.crowding

    def _wake(self, *, completed: bool, reason: str) -> None:
        asleep = self._asleep
        self.nights[asleep.id] = Night(
            kind=asleep.started.kind,
            trigger=asleep.started.trigger,
            began=asleep.began,
            ended=self.version,
            completed=completed,
            reason=reason,
        )
        self.sleep = self.undo = None

    def _fact_added(self, event: FactAdded) -> None:
        fact = event.statement
        self.facts[event.fact] = FactState(fact=fact, source=event.source, added=self.version)
        self.pending[event.fact] = None
        self.said[said_key(fact.subject, fact.relation)] = event.fact
        earlier = self.requests.get(event.request)
        self.requests[event.request] = Request(
            digest=event.request_digest, facts=(*earlier.facts, event.fact) if earlier else (event.fact,)
        )

    def _work_failed(self, event: WorkFailed) -> None:
        if self.sleep is not None and not event.facts:
            self.sleep = replace(self.sleep, failures=event.attempt)
        elif not event.facts:
            self.statistics_failures = event.attempt
            self.statistics_failure = event.message
            self.statistics_parked = event.parked
        for fact in event.facts:
            state = self.facts[fact]
            status = Status.PARKED if event.parked else state.status
            self.facts[fact] = replace(state, status=status, failures=event.attempt, failure=event.message)
            if event.parked:
                self.pending.pop(fact, None)


def fold(events: Iterable[Event], onto: Memory = NOTHING) -> Memory:
    """The state after `events`, starting from `onto`; never refuses what a log can hold."""
    draft = _Draft(onto)
    for event in events:
        draft.apply(event)
    return draft.freeze()


def evolve(memory: Memory, event: Event) -> Memory:
    """The state after one more event."""
    return fold((event,), onto=memory)
