"""A mutable copy of `Memory`: what the functions of `core/evolve/` apply events to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from core.events.history import MemoryForked
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import FactAudited
from core.ids import AdapterId, Digest, EditId, FactId, SleepId
from core.state.conversations import Conversation, UnreadTurn
from core.state.memory import NOTHING, Adapter, Checkpoint, Edit, FactState, Memory, Night, Request, Undo
from core.state.sleep import Sleep
from core.unchanged import Unchanged

_MEMORY_FIELDS = tuple(field.name for field in fields(Memory))
_MAPPINGS = frozenset(name for name in _MEMORY_FIELDS if isinstance(getattr(NOTHING, name), Mapping))
_FACT_FIELDS = tuple(field.name for field in fields(FactState))
_fact_values = attrgetter(*_FACT_FIELDS)


class Draft:
    """A memory whose fields and mappings may be changed in place.

    `restart` and `freeze` copy whatever fields `Memory` has. The annotations below are for the type checker alone.
    """

    version: int
    created: MemoryCreated | None
    statistics: StatisticsPrepared | None
    failures: int
    failure: str
    facts: dict[FactId, FactState]
    pending: dict[FactId, None]
    pending_withdrawal: dict[FactId, None]
    pending_erasure: dict[FactId, None]
    by_statement: dict[tuple[str, str], FactId]
    requests: dict[str, Request]
    edits: dict[EditId, Edit]
    adapters: dict[AdapterId, Adapter]
    weights: Digest | None
    key_occupancy: float
    unchanged: Unchanged | None
    undo: Undo | None
    nights: dict[SleepId, Night]
    slept: int
    checkpoints: dict[str, Checkpoint]
    forked: MemoryForked | None
    deleted: int
    purged: bool
    begun: int
    conversations: dict[str, Conversation]
    unread: tuple[UnreadTurn, ...]
    closing: tuple[str, ...]

    def __init__(self, memory: Memory) -> None:
        self.restart(memory)

    def restart(self, memory: Memory) -> None:
        """Discards all changes and becomes a copy of `memory`."""
        self._sleep: Sleep | None = None
        self._audited: list[tuple[FactAudited, int]] = []  # verdicts that `_sleep` does not hold yet
        for name in _MEMORY_FIELDS:
            value = getattr(memory, name)
            setattr(self, name, dict(value) if name in _MAPPINGS else value)

    def freeze(self) -> Memory:
        """Returns the memory as changed. The draft must not be used afterwards: they share their mappings."""
        values = {name: getattr(self, name) for name in _MEMORY_FIELDS}
        return Memory(**values | {name: MappingProxyType(values[name]) for name in _MAPPINGS})

    def change(self, fact: FactId, /, **values: Any) -> None:
        """Replaces the given fields of the fact's state."""
        # not dataclasses.replace, because that loops over the fields in Python and most of a fold's time is spent here
        self.facts[fact] = FactState(**dict(zip(_FACT_FIELDS, _fact_values(self.facts[fact]), strict=True)) | values)

    def said_again(self, facts: Collection[FactId]) -> None:
        """Counts that each of `facts` was said once more."""
        for fact in facts:
            self.change(fact, said=self.facts[fact].said + 1)

    @property
    def sleep(self) -> Sleep | None:
        """The sleep in progress, with the verdicts of all audited facts.

        Verdicts are added to it in one go, because adding each by itself would cost O(facts) every time.
        """
        if self._audited and self._sleep is not None:
            self._sleep, self._audited = self._sleep.facts_audited(self._audited), []
        return self._sleep

    @sleep.setter
    def sleep(self, sleep: Sleep | None) -> None:
        self._sleep = sleep

    def audited(self, event: FactAudited) -> None:
        """Adds the verdict of `event`, which is at the draft's version, to the sleep in progress."""
        assert self._sleep is not None
        self._audited.append((event, self.version))

    @property
    def asleep(self) -> Sleep:
        """The sleep in progress; there must be one."""
        assert self.sleep is not None
        return self.sleep

    def carried_by(self, edits: tuple[EditId, ...], scales: Mapping[FactId, float]) -> None:
        """Makes `edits`, and no others, carry the facts of `scales` at these scales; drops edits left without facts."""
        before = {edit for fact in scales for edit in self.facts[fact].edits} - set(edits)
        for fact, scale in scales.items():
            self.change(fact, edits=edits, scale=scale)
        for edit in before:
            if not any(edit in self.facts[columns.fact].edits for columns in self.edits[edit].columns):
                del self.edits[edit]

    def leave_adapters(self, facts: Collection[FactId]) -> None:
        """Puts the columns that adapters have of `facts` alone out of force, and adapters that have no other."""
        for adapter in [adapter for adapter in self.adapters.values() if adapter.columns]:
            columns = tuple(columns for columns in adapter.columns if columns.fact not in facts)
            if columns:
                left = tuple(fact for fact in adapter.facts if fact not in facts)
                self.adapters[adapter.id] = replace(adapter, columns=columns, facts=left)
            else:
                del self.adapters[adapter.id]
