"""What nights do to facts: recall by every path, what was not told, and how far edits have dissolved.

Facts are told in batches, then the memory sleeps. Everything is asked by greedy free generation on the weights that
the night left behind; neighbours, strangers and held-out texts are none that the memory knows of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.people import Examiner, held_out, told_facts
from benchmarks.summary import summary
from benchmarks.told import Judge, Told, fact_by_fact, telling
from core.events.sleep import AdapterTrained, FactsRescaled
from core.policy import SleepPolicy
from core.state.memory import Memory, Status
from core.state.plan import plan

Progress = Callable[[int, int, str], None]


def run(
    *,
    facts: Sequence[int] = (5, 10, 20, 50),
    cycles: int = 3,
    seeds: int = 3,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `facts, cycle, raw, chat, paraphrase, neighbours, strangers, untold, perplexity_drift, stages, dissolved,
    completed, mended, seconds`; cycle 0 is before the first sleep. `undone` in the settings says why nights were."""
    measured: dict[tuple[int, int], list[dict[str, float]]] = {}
    stages: dict[tuple[int, int], Counter[int]] = {}
    total = sum(facts) * seeds * (cycles + 1)
    done = 0
    undone: list[dict[str, Any]] = []
    settings = {"facts": list(facts), "cycles": cycles, "seeds": seeds, "undone": undone}
    for number in facts:
        for seed in held_out(seeds):
            for morning in nights(number, seed, cycles, None):
                measured.setdefault((number, morning.cycle), []).append(morning.row)
                stages.setdefault((number, morning.cycle), Counter()).update(morning.stages)
                if morning.undone:
                    undone.append({"facts": number, "seed": seed, "cycle": morning.cycle, "why": morning.undone})
                progress(done := done + number, total, f"{number} facts, seed {seed}, cycle {morning.cycle}")
                rows = [
                    {"facts": facts_, "cycle": cycle, **summary(found), "stages": _named(stages[facts_, cycle])}
                    for (facts_, cycle), found in measured.items()
                ]
                yield {"bench": "sleep", "settings": settings, "rows": rows}


def _named(stages: Counter[int]) -> dict[str, int]:
    return {str(stage): count for stage, count in sorted(stages.items())}


@dataclass(frozen=True, slots=True)
class Morning:
    """What a night left behind: a row, facts by stage, and why the night was rolled back, if it was."""

    cycle: int
    row: dict[str, float]
    stages: Counter[int]
    undone: str = ""


def nights(
    number: int, seed: int, cycles: int, policy: SleepPolicy | None, judge: Judge = fact_by_fact
) -> Iterator[Morning]:
    """The mornings of one memory that was told `number` facts; the first is before any night."""
    facts = told_facts(number, seed=seed)
    with telling({}) as memory:
        examiner = Examiner(memory.model, facts, seed=seed)
        assert memory.state.created is not None
        batch = memory.state.created.hyperparameters.batch
        seconds = sum(memory.tell(facts[start : start + batch]) for start in range(0, number, batch))
        row = {**asdict(examiner.examine(facts)), "dissolved": 0.0, "completed": 1.0, "mended": 0.0, "seconds": seconds}
        yield Morning(0, row, _stages(memory))
        for cycle in range(1, cycles + 1):
            slept = memory.sleep(policy, seed=seed * 100 + cycle, judge=judge)
            kinds = [type(event) for event in slept.events]
            after = kinds[kinds.index(FactsRescaled) :] if FactsRescaled in kinds else []
            row = {
                **asdict(examiner.examine(facts)),
                "dissolved": dissolved(memory.state),
                "completed": float(slept.night.completed),
                "mended": float(AdapterTrained in after),
                "seconds": slept.seconds,
            }
            yield Morning(cycle, row, _stages(memory), "" if slept.night.completed else slept.night.reason)


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
