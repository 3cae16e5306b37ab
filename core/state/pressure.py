"""Pressure: how much a memory needs sleep, from 0 (not at all) to 1 (sleep before adding more facts).

    pressure = max(key occupancy / capacity, unachieved, degraded, age, false fires / limit)

Each of the five terms is between 0 and 1. The largest decides, because each alone is a reason to sleep:

- key occupancy / capacity: share of the key space that keys in force occupy, over the largest share allowed;
- unachieved: mean share of the target change of hidden states that edits in force did not achieve;
- degraded: share of the facts in the weights that are degraded by their last audit;
- age: versions since the last sleep over the policy's `restful`; 0 if no edit carries a fact;
- false fires / limit: responses of neurons in force where they must not, over the policy's `false_fires_limit`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.events.facts import Certificate
from core.ids import FactId
from core.state.memory import Memory, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The five terms, each from 0 to 1."""

    key_occupancy: float = 0.0
    unachieved: float = 0.0
    degraded: float = 0.0
    age: float = 0.0
    false_fires: float = 0.0

    @property
    def total(self) -> float:
        """The largest of the five."""
        return max(self.key_occupancy, self.unachieved, self.degraded, self.age, self.false_fires)


def pressure(memory: Memory) -> Pressure:
    """Returns the pressure of `memory`."""
    if memory.created is None:
        return Pressure()
    in_weights = [state for state in memory.facts.values() if state.in_weights]
    unachieved = [
        1 - min(max(columns.achieved, 0.0), 1.0)
        for edit in memory.edits.values()
        for columns in edit.columns
        if edit.id in memory.facts[columns.fact].edits
    ]
    carried = any(state.status is Status.INJECTED for state in in_weights)
    return Pressure(
        key_occupancy=_share(memory.key_occupancy, memory.created.capacity),
        unachieved=_share(sum(unachieved), len(unachieved)),
        degraded=_share(sum(state.healthy is False for state in in_weights), len(in_weights)),
        age=_share(memory.version - memory.slept, memory.created.sleep.restful) if carried else 0.0,
        false_fires=_share(false_fires(memory), memory.created.sleep.false_fires_limit),
    )


def false_fires(memory: Memory, without: Collection[FactId] = ()) -> float:
    """Returns how often neurons in force respond in other text, in a million tokens, by their certificates.

    A fact counts once, because all of its neurons have one detector: at the scale of its edit, or whole once an adapter
    has a column of it. Those in `without` do not count.
    """
    fires = dict[FactId, float]()
    for edit in memory.edits.values():
        for columns in edit.columns:
            if columns.certificate and edit.id in memory.facts[columns.fact].edits:
                fires[columns.fact] = columns.certificate.false_fires * memory.facts[columns.fact].scale
    for adapter in memory.adapters.values():
        for columns in adapter.columns:
            if columns.certificate and memory.facts[columns.fact].in_weights:
                fires[columns.fact] = columns.certificate.false_fires
    return sum(rate for fact, rate in fires.items() if fact not in without)


def certificate_of(memory: Memory, fact: FactId) -> Certificate | None:
    """Returns the certificate of the detector that the neurons of a fact have."""
    groups = [edit.columns for edit in memory.edits.values() if edit.id in memory.facts[fact].edits]
    groups += [adapter.columns for adapter in memory.adapters.values()]
    return next((columns.certificate for group in groups for columns in group if columns.fact == fact), None)


def _share(part: float, whole: float) -> float:
    """Returns `part / whole`, at most 1; 0 if `whole` is 0."""
    return min(part / whole, 1.0) if whole else 0.0
