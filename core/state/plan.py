"""Derives the plan of a memory's weights from its state: which columns of which deltas, at which scale.

The weights depend on the base model and the plan alone. Two logs with the same plan have the same weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.ids import Digest, FactId
from core.state.memory import Adapter, Memory


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Term:
    """Columns `first .. first + count - 1` of a delta, at a scale that is not zero."""

    delta: Digest
    first: int
    count: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Terms in canonical order: by delta, then by column; adjacent columns of equal scale form one term."""

    terms: tuple[Term, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical JSON of the terms."""
        rows = [[term.delta, term.first, term.count, term.scale.hex()] for term in self.terms]
        return Digest(hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest())

    @property
    def deltas(self) -> tuple[Digest, ...]:
        """Digests of the artifacts needed to build the weights, without repeats."""
        return tuple(dict.fromkeys(term.delta for term in self.terms))


def plan(memory: Memory) -> Plan:
    """Returns the plan of the weights of `memory`."""
    return plan_at(memory, {})


def plan_at(memory: Memory, scales: Mapping[FactId, float], without: Collection[FactId] = ()) -> Plan:
    """Returns the plan that `memory` would have if the edits of the facts in `scales` were at these scales.

    Args:
        without: facts whose own columns of adapters are left out, too.
    """
    terms = [
        Term(
            delta=edit.delta, first=columns.first, count=columns.count, scale=scales.get(fact, memory.facts[fact].scale)
        )
        for edit in memory.edits.values()
        for columns in edit.columns
        if edit.id in memory.facts[fact := columns.fact].edits
    ]
    for adapter in memory.adapters.values():
        terms += _of_adapter(memory, adapter, without)
    return _canonical(terms)


def plan_without(memory: Memory, facts: Collection[FactId]) -> Plan:
    """Returns the plan that `memory` would have without the columns of `facts`, of edits and of adapters."""
    return plan_at(memory, dict.fromkeys(facts, 0.0), facts)


def plan_of(memory: Memory, fact: FactId, scale: float | None = None) -> Plan:
    """Returns the part of the plan of `memory` that belongs to `fact`: the columns of its edits, and its of adapters.

    Args:
        scale: of its edits, where it is not that of the memory.
    """
    state = memory.facts[fact]
    terms = [
        Term(
            delta=memory.edits[edit].delta,
            first=columns.first,
            count=columns.count,
            scale=state.scale if scale is None else scale,
        )
        for edit in state.edits
        for columns in memory.edits[edit].columns
        if columns.fact == fact
    ]
    others = memory.facts.keys() - {fact}
    for adapter in memory.adapters.values():
        if adapter.columns:
            terms += _of_adapter(memory, adapter, others)
    return _canonical(terms)


def _of_adapter(memory: Memory, adapter: Adapter, without: Collection[FactId]) -> Iterator[Term]:
    """Yields the terms of an adapter, without the columns that belong to facts in `without`."""
    if not adapter.columns:
        yield Term(delta=adapter.delta, first=0, count=adapter.rank, scale=1.0)
        return
    for columns in adapter.columns:
        if columns.fact not in without:
            yield Term(delta=adapter.delta, first=columns.first, count=columns.count, scale=1.0)


def _canonical(terms: Iterable[Term]) -> Plan:
    """Returns `terms` in canonical order, without empty ones."""
    joined: list[Term] = []
    for term in sorted(terms):
        if not term.scale or not term.count:
            continue
        last = joined[-1] if joined else None
        if last and (last.delta, last.first + last.count, last.scale) == (term.delta, term.first, term.scale):
            joined[-1] = Term(delta=last.delta, first=last.first, count=last.count + term.count, scale=last.scale)
        else:
            joined.append(term)
    return Plan(terms=tuple(joined))
