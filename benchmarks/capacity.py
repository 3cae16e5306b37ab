"""How many facts a memory holds: told one at a time, everything asked again after each stretch.

Beside the method as shipped stand plain MEMIT (`history=off`), the control that must fall, and `subjects=distinct`,
one fact a person. Past the asked-for number the telling goes on until the service refuses for want of capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from benchmarks.people import Examiner, told_facts
from benchmarks.told import Told, telling
from core.errors import CapacityReached
from core.facts import Fact

POINTS = (1, 2, 5, 10, 13, 14, 20, 30, 50, 100, 200)
FURTHER = 100  # facts between points past the asked-for number
WORSE_HIGH = ("perplexity_drift", "seconds_per_fact", "bytes_per_fact", "pressure")  # where more is worse

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of telling: with or without history, one person many facts or one."""

    history: bool
    shared: bool

    @property
    def keys(self) -> dict[str, str]:
        return {"history": "on" if self.history else "off", "subjects": "shared" if self.shared else "distinct"}


ARMS = (Arm(True, True), Arm(False, True), Arm(True, False))


def run(*, facts: int = 200, seeds: int = 3, progress: Progress = lambda done, total, what: None,
        overrides: dict[str, float | int | bool] | None = None) -> dict[str, Any]:  # fmt: skip
    """Rows `n, history, subjects, raw, chat, paraphrase, neighbours, strangers, untold, perplexity_drift,
    seconds_per_fact, bytes_per_fact, pressure`: means over seeds, and the worst seed as `<key>_worst`."""
    measured: dict[tuple[Arm, int], list[dict[str, float]]] = {}
    refused: list[dict[str, Any]] = []
    for number, arm in enumerate(ARMS):
        for seed in range(1, seeds + 1):
            what = f"history {arm.keys['history']}, subjects {arm.keys['subjects']}, seed {seed}"
            report = lambda n, what=what, number=number, seed=seed: progress(  # noqa: E731
                (number * seeds + seed - 1) * facts + min(n, facts), len(ARMS) * seeds * facts, what
            )
            for n, row in _tell(arm, facts, seed, overrides or {}, refused, report):
                measured.setdefault((arm, n), []).append(row)
    rows = [{"n": n, **arm.keys, **_summary(found)} for (arm, n), found in measured.items()]
    settings = {"facts": facts, "seeds": seeds, "each": 4, "overrides": overrides or {}, "refused": refused}
    return {"bench": "capacity", "settings": settings, "rows": rows}


def _tell(arm: Arm, number: int, seed: int, overrides: dict[str, float | int | bool], refused: list[dict[str, Any]],
          report: Callable[[int], None]) -> list[tuple[int, dict[str, float]]]:  # fmt: skip
    each = 4 if arm.shared else 1
    on = arm.history and arm.shared
    facts = told_facts(number * 4 if on else number, seed=seed, each=each)
    found = []
    points = {point for point in POINTS if point <= number} | {number} | set(range(number, len(facts) + 1, FURTHER))
    with telling({**overrides, "history": arm.history}, None if on else 1e9) as memory:
        examiner = Examiner(memory.subject, facts[:number], seed=seed)
        seconds = 0.0
        for n, fact in enumerate(facts, 1):
            try:
                seconds += memory.tell([fact])
            except CapacityReached:
                refused.append({"seed": seed, "n": n - 1, **arm.keys, "pressure": memory.state.pressure})
                if n - 1 not in points:
                    found.append((n - 1, _row(memory, examiner, facts[: n - 1], seconds)))
                break
            report(n)
            if n in points:
                found.append((n, _row(memory, examiner, facts[:n], seconds)))
    return found


def _row(memory: Told, examiner: Examiner, told: Sequence[Fact], seconds: float) -> dict[str, float]:
    return {
        **asdict(examiner.examine(told)),
        "seconds_per_fact": seconds / len(told),
        "bytes_per_fact": memory.bytes_per_fact,
        "pressure": memory.state.pressure,
    }


def _summary(found: list[dict[str, float]]) -> dict[str, float]:
    summary: dict[str, float] = {}
    for key in found[0]:
        values = [row[key] for row in found]
        summary[key] = mean(values)
        summary[f"{key}_worst"] = max(values) if key in WORSE_HIGH else min(values)
    return summary
