"""A state under change: what `core/evolve.py` and its parts for sleeps and for history fold events into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from core.ids import EditId, FactId
from core.memory import Memory
from core.sleep import Sleep


class Draft:
    """A thawed state: the same fields as `Memory`, with dictionaries that may change."""

    def __init__(self, memory: Memory) -> None:
        self.version = memory.version
        self.created = memory.created
        self.statistics = memory.statistics
        self.statistics_failures = memory.statistics_failures
        self.statistics_failure = memory.statistics_failure
        self.statistics_parked = memory.statistics_parked
        self.facts = dict(memory.facts)
        self.pending = dict(memory.pending)
        self.leaving = dict(memory.leaving)
        self.erasing = dict(memory.erasing)
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
        self.checkpoints = dict(memory.checkpoints)
        self.forked = memory.forked

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
            leaving=MappingProxyType(self.leaving),
            erasing=MappingProxyType(self.erasing),
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
            checkpoints=MappingProxyType(self.checkpoints),
            forked=self.forked,
        )

    def change(self, fact: FactId, /, **values: Any) -> None:
        """Gives fields of a fact's state other values."""
        self.facts[fact] = replace(self.facts[fact], **values)

    @property
    def asleep(self) -> Sleep:
        """The sleep in progress, where there must be one."""
        assert self.sleep is not None
        return self.sleep

    def carried_by(self, facts: Iterable[FactId], edits: tuple[EditId, ...]) -> None:
        """From now on `facts` are carried by `edits` alone; edits that carry nothing any more are forgotten."""
        facts = tuple(facts)
        before = {edit for fact in facts for edit in self.facts[fact].edits} - set(edits)
        for fact in facts:
            self.facts[fact] = replace(self.facts[fact], edits=edits)
        for edit in before:
            if not any(edit in self.facts[columns.fact].edits for columns in self.edits[edit].columns):
                del self.edits[edit]
