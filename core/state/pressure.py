"""Pressure: how much a memory needs sleep, from 0 (not at all) to 1 (sleep before adding more facts).

    pressure = max(key occupancy / capacity, unachieved, degraded, age)

Each of the four terms is between 0 and 1. The largest decides, because each alone is a reason to sleep:

- key occupancy / capacity: share of the key space that keys in force occupy, over the largest share allowed;
- unachieved: mean share of the target change of hidden states that edits in force did not achieve;
- degraded: share of the facts in the weights that are degraded by their last audit;
- age: versions since the last sleep over the policy's `restful`; 0 if no edit carries a fact.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.state.memory import Memory, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The four terms, each from 0 to 1."""

    key_occupancy: float = 0.0
    unachieved: float = 0.0
    degraded: float = 0.0
    age: float = 0.0

    @property
    def total(self) -> float:
        """The largest of the four."""
        return max(self.key_occupancy, self.unachieved, self.degraded, self.age)


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
    )


def _share(part: float, whole: float) -> float:
    """Returns `part / whole`, at most 1; 0 if `whole` is 0."""
    return min(part / whole, 1.0) if whole else 0.0
