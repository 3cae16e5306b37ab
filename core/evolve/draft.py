"""A state under change: what `core/evolve/` and its parts for sleeps and for history fold events into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from core.events.sleep import FactAudited
from core.ids import EditId, FactId
from core.state.memory import FactState, Memory
from core.state.sleep import Sleep

_FIELDS = tuple(field.name for field in fields(FactState))
_values = attrgetter(*_FIELDS)


class Draft:
    """A thawed state: the same fields as `Memory`, with dictionaries that may change."""

    def __init__(self, memory: Memory) -> None:
        self.restart(memory)

    def restart(self, memory: Memory) -> None:
        """Makes this the draft of `memory`, whatever it was the draft of."""
        self.version = memory.version
        self.created = memory.created
        self.statistics = memory.statistics
        self.failures = memory.failures
        self.failure = memory.failure
        self.facts = dict(memory.facts)
        self.pending = dict(memory.pending)
        self.pending_withdrawal = dict(memory.pending_withdrawal)
        self.pending_erasure = dict(memory.pending_erasure)
        self.by_statement = dict(memory.by_statement)
        self.requests = dict(memory.requests)
        self.edits = dict(memory.edits)
        self.adapters = dict(memory.adapters)
        self.weights = memory.weights
        self.crowding = memory.crowding
        self.unchanged = memory.unchanged
        self._sleep = memory.sleep
        self._audited: list[tuple[FactAudited, int]] = []  # not in the sleep yet: its verdicts change all at once
        self.undo = memory.undo
        self.nights = dict(memory.nights)
        self.slept = memory.slept
        self.checkpoints = dict(memory.checkpoints)
        self.forked = memory.forked
        self.deleted = memory.deleted
        self.purged = memory.purged
        self.begun = memory.begun

    def freeze(self) -> Memory:
        return Memory(
            version=self.version,
            created=self.created,
            statistics=self.statistics,
            failures=self.failures,
            failure=self.failure,
            facts=MappingProxyType(self.facts),
            pending=MappingProxyType(self.pending),
            pending_withdrawal=MappingProxyType(self.pending_withdrawal),
            pending_erasure=MappingProxyType(self.pending_erasure),
            by_statement=MappingProxyType(self.by_statement),
            requests=MappingProxyType(self.requests),
            edits=MappingProxyType(self.edits),
            adapters=MappingProxyType(self.adapters),
            weights=self.weights,
            crowding=self.crowding,
            unchanged=self.unchanged,
            sleep=self.sleep,
            undo=self.undo,
            nights=MappingProxyType(self.nights),
            slept=self.slept,
            checkpoints=MappingProxyType(self.checkpoints),
            forked=self.forked,
            deleted=self.deleted,
            purged=self.purged,
            begun=self.begun,
        )

    def change(self, fact: FactId, /, **values: Any) -> None:
        """Gives fields of a fact's state other values."""
        # dataclasses.replace walks over the fields in Python, and a fold does little else
        self.facts[fact] = FactState(**dict(zip(_FIELDS, _values(self.facts[fact]), strict=True)) | values)

    @property
    def sleep(self) -> Sleep | None:
        """The sleep in progress."""
        if self._audited and self._sleep is not None:
            self._sleep, self._audited = self._sleep.facts_audited(self._audited), []
        return self._sleep

    @sleep.setter
    def sleep(self, sleep: Sleep | None) -> None:
        self._sleep = sleep

    def audited(self, event: FactAudited) -> None:
        """Adds the verdict of the event at this version to the sleep in progress."""
        assert self._sleep is not None
        self._audited.append((event, self.version))

    @property
    def asleep(self) -> Sleep:
        """The sleep in progress, where there must be one."""
        assert self.sleep is not None
        return self.sleep

    def carried_by(self, edits: tuple[EditId, ...], scales: Mapping[FactId, float]) -> None:
        """From now on `edits` alone carry these facts, at these scales; edits that carry nothing are forgotten."""
        before = {edit for fact in scales for edit in self.facts[fact].edits} - set(edits)
        for fact, scale in scales.items():
            self.change(fact, edits=edits, scale=scale)
        for edit in before:
            if not any(edit in self.facts[columns.fact].edits for columns in self.edits[edit].columns):
                del self.edits[edit]
