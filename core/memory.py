"""The state of a memory, and `evolve`: how each event changes it.

A state is never changed in place. `fold` thaws one into a draft, applies a run of events, and freezes it again, so
folding n events costs O(n) and not O(n * facts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from core.events import (
    Columns,
    EditComputed,
    Event,
    FactAdded,
    FactInjected,
    MemoryCreated,
    StatisticsPrepared,
    WorkFailed,
)
from core.facts import Fact, Source, same_words
from core.ids import Digest, EditId, FactId


class Status(StrEnum):
    PENDING = "pending"  # durable in the log, not yet in the weights
    INJECTED = "injected"  # carried by an edit
    PARKED = "parked"  # could not be written; the last failure says why


@dataclass(frozen=True, slots=True, kw_only=True)
class FactState:
    """A fact and how far it has come."""

    fact: Fact
    source: Source
    added: int  # the version that added it
    status: Status = Status.PENDING
    stage: int = 0
    scale: float = 0.0
    edits: tuple[EditId, ...] = ()
    failures: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A delta in force, and whose its columns are."""

    id: EditId
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was accepted: its content and the facts it added."""

    digest: Digest
    facts: tuple[FactId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything the log says about one memory up to `version`.

    `pending` holds, in the order told, the facts that wait to be written; `said` finds a live fact by subject and
    relation; `weights` is the digest of the edited modules, None until the clean ones were measured.
    """

    version: int = 0
    created: MemoryCreated | None = None
    statistics: StatisticsPrepared | None = None
    statistics_failures: int = 0
    statistics_failure: str = ""
    statistics_parked: bool = False
    facts: Mapping[FactId, FactState] = field(default_factory=lambda: MappingProxyType({}))
    pending: Mapping[FactId, None] = field(default_factory=lambda: MappingProxyType({}))
    said: Mapping[tuple[str, str], FactId] = field(default_factory=lambda: MappingProxyType({}))
    requests: Mapping[str, Request] = field(default_factory=lambda: MappingProxyType({}))
    edits: Mapping[EditId, Edit] = field(default_factory=lambda: MappingProxyType({}))
    weights: Digest | None = None
    pressure: float = 0.0


NOTHING = Memory()


def said_key(subject: str, relation: str) -> tuple[str, str]:
    """Under which key a live fact about `subject` and `relation` is found."""
    return same_words(subject), same_words(relation)


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
        self.weights = memory.weights
        self.pressure = memory.pressure

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
            weights=self.weights,
            pressure=self.pressure,
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
                    edits=(*state.edits, event.edit),
                    failures=0,
                    failure="",
                )
                self.pending.pop(event.fact, None)
            case EditComputed():
                self.edits[event.edit] = Edit(
                    id=event.edit,
                    delta=event.delta,
                    modules=event.modules,
                    columns=event.columns,
                    version=self.version,
                )
                for columns in event.columns:
                    self.facts[columns.fact] = replace(self.facts[columns.fact], scale=columns.scale)
                self.weights = event.weights_after
                self.pressure = event.pressure
            case MemoryCreated():
                self.created = event
            case StatisticsPrepared():
                self.statistics = event
                self.weights = event.weights
                self.statistics_failures, self.statistics_failure, self.statistics_parked = 0, "", False
            case WorkFailed():
                self._work_failed(event)
            case _:
                assert_never(event)

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
        if not event.facts:
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
