"""Measures the effect of nights on facts: recall by every pathway, locality, and the share of dissolved edits.

Facts are added in batches, then the memory sleeps. Probes are answered by greedy free generation on the weights after
the night; neighbours, strangers and held-out texts are not among those that the memory audits or rehearses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.real import nights as real_nights
from benchmarks.support.arms import TEN_STEPS, Arm, shipped, training, unguarded
from benchmarks.support.bench_memory import BenchMemory, Judge, On, bench_memory, fact_by_fact
from benchmarks.support.people import Examiner, held_out, told_facts
from benchmarks.support.summary import summary
from core.events.sleep import AdapterTrained, FactsRescaled
from core.policy import SleepPolicy
from core.state.memory import Memory, Status
from core.state.plan import plan

Progress = Callable[[int, int, str], None]

ARMS = (
    Arm("values", shipped),
    Arm(
        "adapter",  # LoRA of small rank, which rehearses the base model's own texts
        lambda policy, _: unguarded(
            training(
                replace(policy, trainings=1, repairs=0), rank=8, steps=60, learning_rate=4e-3, batch=12, rehearsal=12,
                divergence_weight=4.0,
            )
        ),
        lora=True,
    ),
    TEN_STEPS,
)  # fmt: skip


def run(
    *,
    facts: Sequence[int] = (5, 10, 20, 50),
    cycles: int = 3,
    seeds: int = 3,
    model: str = "",
    arms: Sequence[str] = ("values", "adapter", "ten steps a fact"),
    quick: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `facts, cycle, raw, chat, paraphrase, neighbours, strangers, unanswered, perplexity_drift, stages,
    dissolved, completed, repaired, seconds`; cycle 0 is before the first sleep. `undone` in the settings lists the
    nights that were rolled back, with the reason.

    Args:
        model: a real model, whose rows are those of `benchmarks.real.nights`; empty for dormouse.
        arms: what is trained on a real model.
        quick: asks a real model few questions.
    """
    if model:
        chosen = [arm for arm in ARMS if arm.name in arms]
        yield from real_nights.run("sleep", On(model), facts, cycles, seeds, chosen, quick, progress)
        return
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
                    {"facts": facts_, "cycle": cycle, **summary(runs), "stages": _named(stages[facts_, cycle])}
                    for (facts_, cycle), runs in measured.items()
                ]
                yield {"bench": "sleep", "settings": settings, "rows": rows}


def _named(stages: Counter[int]) -> dict[str, int]:
    return {str(stage): count for stage, count in sorted(stages.items())}


@dataclass(frozen=True, slots=True)
class Morning:
    """The state after a night.

    Attributes:
        stages: number of facts by stage.
        undone: reason why the night was rolled back; empty if it completed.
    """

    cycle: int
    row: dict[str, float]
    stages: Counter[int]
    undone: str = ""


def nights(
    number: int, seed: int, cycles: int, policy: SleepPolicy | None, judge: Judge = fact_by_fact
) -> Iterator[Morning]:
    """The mornings of one memory with `number` facts; the first is before any night."""
    facts = told_facts(number, seed=seed)
    with bench_memory({}) as memory:
        examiner = Examiner(memory.model, facts, seed=seed)
        assert memory.state.created is not None
        batch = memory.state.created.hyperparameters.batch
        seconds = sum(memory.tell(facts[start : start + batch]) for start in range(0, number, batch))
        row = {
            **asdict(examiner.examine(facts)),
            "dissolved": 0.0,
            "completed": 1.0,
            "repaired": 0.0,
            "seconds": seconds,
        }
        yield Morning(0, row, _stages(memory))
        for cycle in range(1, cycles + 1):
            slept = memory.sleep(policy, seed=seed * 100 + cycle, judge=judge)
            kinds = [type(event) for event in slept.events]
            after = kinds[kinds.index(FactsRescaled) :] if FactsRescaled in kinds else []
            row = {
                **asdict(examiner.examine(facts)),
                "dissolved": dissolved(memory.state),
                "completed": float(slept.night.completed),
                "repaired": float(AdapterTrained in after),
                "seconds": slept.seconds,
            }
            yield Morning(cycle, row, _stages(memory), "" if slept.night.completed else slept.night.reason)


def dissolved(memory: Memory) -> float:
    """The share of facts whose columns have left the plan."""
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


def _stages(memory: BenchMemory) -> Counter[int]:
    return Counter(state.stage for state in memory.state.facts.values())
