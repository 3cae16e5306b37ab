"""Pressure: how much a memory needs sleep, 0 (rested) to 1 (sleep before telling more).

    pressure = max(crowding / capacity, unabsorbed, degraded, age)

Four needs, each measured, each 0..1; the largest decides, as any one of them alone is a reason to sleep:

- crowding / capacity: share of the key space that keys in force hold, against what the memory may hold;
- unabsorbed: share of the changes wanted of the hidden state that edits in force left out, on average;
- degraded: share of the facts in the weights that their last audit found degraded;
- age: versions since the last sleep, while an edit carries anything, against the policy's `restful`.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.state.memory import Memory, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The four needs, each 0..1."""

    crowding: float = 0.0
    unabsorbed: float = 0.0
    degraded: float = 0.0
    age: float = 0.0

    @property
    def total(self) -> float:
        return max(self.crowding, self.unabsorbed, self.degraded, self.age)


def pressure(memory: Memory) -> Pressure:
    """The pressure of `memory`."""
    if memory.created is None:
        return Pressure()
    told = [state for state in memory.facts.values() if state.in_weights]
    absorbed = [
        columns.absorbed
        for edit in memory.edits.values()
        for columns in edit.columns
        if edit.id in memory.facts[columns.fact].edits
    ]
    carried = any(state.status is Status.INJECTED for state in told)
    return Pressure(
        crowding=_share(memory.crowding, memory.created.capacity),
        unabsorbed=_share(sum(1 - min(max(one, 0.0), 1.0) for one in absorbed), len(absorbed)),
        degraded=_share(sum(state.healthy is False for state in told), len(told)),
        age=_share(memory.version - memory.slept, memory.created.sleep.restful) if carried else 0.0,
    )


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole else 0.0
