"""What nights do to facts: recall by every path, what was not told, and how far edits have dissolved.

Facts are told in batches, then the memory sleeps. Everything is asked by greedy free generation on the weights that
the night left behind; neighbours, strangers and held-out texts are none that the memory knows of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.people import Examiner, told_facts
from benchmarks.summary import summary
from benchmarks.told import Judge, Told, fact_by_fact, telling
from core.memory import Memory, Status
from core.plan import plan
from core.policy import SleepPolicy

Progress = Callable[[int, int, str], None]


def run(*, facts: Sequence[int] = (5, 10, 20, 50), cycles: int = 3, seeds: int = 3,
        progress: Progress = lambda done, total, what: None) -> dict[str, Any]:  # fmt: skip
    """Rows `facts, cycle, raw, chat, paraphrase, neighbours, strangers, untold, perplexity_drift, stages, dissolved,
    seconds`; cycle 0 is before the first sleep."""
    measured: dict[tuple[int, int], list[dict[str, float]]] = {}
    stages: dict[tuple[int, int], Counter[int]] = {}
    total = sum(facts) * seeds * (cycles + 1)
    done = 0
    for number in facts:
        for seed in range(1, seeds + 1):
            for cycle, row, counted in nights(number, seed, cycles, None):
                measured.setdefault((number, cycle), []).append(row)
                stages.setdefault((number, cycle), Counter()).update(counted)
                progress(done := done + number, total, f"{number} facts, seed {seed}, cycle {cycle}")
    rows = [
        {
            "facts": number,
            "cycle": cycle,
            **summary(found),
            "stages": {str(stage): count for stage, count in sorted(stages[number, cycle].items())},
        }
        for (number, cycle), found in measured.items()
    ]
    return {"bench": "sleep", "settings": {"facts": list(facts), "cycles": cycles, "seeds": seeds}, "rows": rows}


def nights(
    number: int, seed: int, cycles: int, policy: SleepPolicy | None, judge: Judge = fact_by_fact
) -> list[tuple[int, dict[str, float], Counter[int]]]:
    """Cycle, row and facts by stage, of one memory told `number` facts."""
    facts = told_facts(number, seed=seed)
    with telling({}) as memory:
        examiner = Examiner(memory.subject, facts, seed=seed)
        assert memory.state.created is not None
        batch = memory.state.created.hyperparameters.batch
        seconds = sum(memory.tell(facts[start : start + batch]) for start in range(0, number, batch))
        found = [(0, {**asdict(examiner.examine(facts)), "dissolved": 0.0, "seconds": seconds}, _stages(memory))]
        for cycle in range(1, cycles + 1):
            seconds = memory.sleep(policy, seed=seed * 100 + cycle, judge=judge).seconds
            row = {**asdict(examiner.examine(facts)), "dissolved": dissolved(memory.state), "seconds": seconds}
            found.append((cycle, row, _stages(memory)))
        return found


def dissolved(memory: Memory) -> float:
    """Share of facts whose edits' columns are out of the plan."""
    in_plan = set(plan(memory).deltas)
    carried = {
        columns.fact
        for edit in memory.edits.values()
        if edit.delta in in_plan
        for columns in edit.columns
        if edit.id in memory.facts[columns.fact].edits
    }
    gone = [f for f, state in memory.facts.items() if state.status is Status.DISSOLVED and f not in carried]
    return len(gone) / len(memory.facts)


def _stages(memory: Told) -> Counter[int]:
    return Counter(state.stage for state in memory.state.facts.values())
