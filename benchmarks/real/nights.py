"""Measures nights on a real model with the questions of `bench real`: by what ships and by variants of it.

Facts are told once for each seed and number of facts. Each arm begins with a copy of that memory.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.real.answers import BaseReplies
from benchmarks.real.bars import BARS, Bar, judged
from benchmarks.real.examiner import QUICK, Examiner, Sizes
from benchmarks.real.people import World
from benchmarks.real.state import Unfinished, cache
from benchmarks.support.arms import Arm
from benchmarks.support.bench_memory import BenchMemory, On, Slept, bench_memory
from benchmarks.support.people import held_out
from benchmarks.support.provenance import commit, machine
from core.events.sleep import AdapterTrained, ControlsMeasured, FactsRescaled
from core.facts import Fact
from core.policy import SleepPolicy
from core.state.memory import Status
from service.weights.base_models import BaseModels

EACH = 2  # facts about one person
TOLD = "told"  # method of rows before the first night
OF_NIGHTS = {
    "chat": Bar(0.98),
    "paraphrase_chat": Bar(0.90),
    **{name: bar for name, bar in BARS.items() if name.startswith("contamination")},
    "known_right": Bar(0.98),
    "text_kl": Bar(0.01, least=False),
    "perplexity": Bar(0.01, least=False),
    "dissolved": Bar(1.0),
}

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class _Case:
    """One world of people, and what the rows about it say of themselves."""

    seed: int
    facts: int

    @property
    def name(self) -> str:
        return f"seed-{self.seed}-facts-{self.facts}"

    def row(self, method: str, cycle: int, **values: Any) -> dict[str, Any]:
        keys = {"seed": self.seed, "per_subject": EACH, "n": self.facts, "method": method, "cycle": cycle}
        return {**keys, **values, "commit": commit(), "machine": machine()}


def run(
    name: str,
    on: On,
    facts: Sequence[int],
    cycles: int,
    seeds: int,
    arms: Sequence[Arm],
    quick: bool,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """Yields documents with rows `seed, n, method, cycle, raw, chat, ..., stages, dissolved, seconds`, and with the
    verdicts of bars after the last cycle. Told facts and finished arms of a run that was killed are kept.

    Args:
        name: of the benchmark.
        quick: asks few questions.
    """
    on, sizes = replace(on, bases=BaseModels("cpu")), QUICK if quick else Sizes()
    settings = {
        "model": on.model, "facts": list(facts), "cycles": cycles, "seeds": seeds, "arms": [arm.name for arm in arms],
        "sizes": asdict(sizes),
    }  # fmt: skip
    kept = Unfinished(name, settings)
    cases = [_Case(seed, number) for seed in held_out(seeds) for number in facts]
    total, done = len(cases) * (1 + cycles * len(arms)), 0

    def document(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"bench": name, "settings": settings, "rows": list(rows), "bars": _verdicts(rows, cycles)}

    for case in cases:
        place = kept.memory(f"{case.name}-{TOLD}")
        done += 1
        progress(done, total, f"{case.name}, telling")
        if kept.row(seed=case.seed, n=case.facts, method=TOLD) is None:
            kept.add(_told(case, place, on, sizes))
        yield document(kept.rows)
        for arm in arms:
            rows = [
                row for row in kept.rows if (row["seed"], row["n"], row["method"]) == (case.seed, case.facts, arm.name)
            ]
            if not rows:
                for row in _slept(case, arm, place, on, sizes, cycles):
                    rows.append(row)
                    progress(done + len(rows), total, f"{case.name}, {arm.name}, night {len(rows)}")
                    yield document([*kept.rows, *rows])
                for row in rows:
                    kept.add(row)
            done += cycles
    yield document(kept.rows)
    kept.end()


def _verdicts(rows: Sequence[dict[str, Any]], cycles: int) -> list[dict[str, Any]]:
    """Returns the verdicts after the last cycle, for each number of facts."""
    last = [row for row in rows if row["cycle"] == cycles]
    return [
        {"n": number, **verdict}
        for number in sorted({row["n"] for row in last})
        for verdict in judged([row for row in last if row["n"] == number], OF_NIGHTS)
    ]


def _told(case: _Case, place: Path, on: On, sizes: Sizes) -> dict[str, Any]:
    """Tells the facts that were not told yet and returns the row before the first night."""
    with bench_memory({}, place, on) as memory:
        world, facts, examiner = examined(case.seed, case.facts, memory, sizes)
        assert memory.state.created is not None
        batch, at = memory.state.created.hyperparameters.batch, len(memory.state.facts)
        seconds = sum(memory.tell(facts[start : start + batch]) for start in range(at, len(facts), batch))
        return case.row(
            TOLD, 0, **examiner.examine(memory.model, world.facts, facts), **state_of(memory), seconds=seconds
        )


def _slept(
    case: _Case, arm: Arm, told: Path, on: On, sizes: Sizes, cycles: int
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yields a row for each night of an arm, in a copy of the memory that was told the facts."""
    place = told.with_name(f"{case.name}-{arm.name}".replace(" ", "-"))
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(told, place)
    with bench_memory({}, place, on) as memory:
        world, facts, examiner = examined(case.seed, case.facts, memory, sizes)
        policy = arm.change(SleepPolicy(), case.facts)
        for cycle in range(1, cycles + 1):
            slept = memory.sleep(policy, seed=case.seed * 100 + cycle, judge=arm.judge, lora=arm.lora)
            row = examiner.examine(memory.model, world.facts, facts)
            with memory.model.with_weights(memory.without(list(memory.state.facts))):
                alone = examiner.recall(memory.model, world.facts, facts)
            row |= {f"alone_{column}": value for column, value in alone.items()}
            yield case.row(arm.name, cycle, **row, **state_of(memory), **night_of(slept))
    shutil.rmtree(place)


def examined(seed: int, facts: int, memory: BenchMemory, sizes: Sizes) -> tuple[World, list[Fact], Examiner]:
    """Returns the people of a seed, their facts with the wordings of a memory, and what examines that memory."""
    created, world = memory.state.created, World(seed, facts, EACH)
    assert created is not None
    examiner = Examiner(BaseReplies(memory.base, cache(), created.base.digest), world, seed, sizes)
    return world, [told.fact(created.phrasebook) for told in world.facts], examiner


def state_of(memory: BenchMemory) -> dict[str, Any]:
    """Returns how far facts have moved on, and how large the memory is."""
    facts = memory.state.facts.values()
    written = [fact for fact in facts if fact.in_weights]
    stages = Counter(fact.stage for fact in written)
    return {
        "parked": len(facts) - len(written),
        "stages": {str(stage): stages[stage] for stage in sorted(stages)},
        "dissolved": sum(fact.status is Status.DISSOLVED for fact in written) / max(len(written), 1),
        "columns": memory.columns,
    }


def night_of(slept: Slept) -> dict[str, Any]:
    """Returns how a night ended and what it took, in seconds."""
    audits = [event.seconds for event in slept.events if isinstance(event, ControlsMeasured)]
    trainings = [event.seconds for event in slept.events if isinstance(event, AdapterTrained)]
    kinds = [type(event) for event in slept.events]
    after = kinds[kinds.index(FactsRescaled) :] if FactsRescaled in kinds else []
    return {
        "undone": "" if slept.night.completed else slept.night.reason,
        "repaired": int(AdapterTrained in after),
        "trainings": len(trainings),
        "seconds_auditing": sum(audits),
        "seconds_training": sum(trainings),
        "seconds": slept.seconds,
    }
