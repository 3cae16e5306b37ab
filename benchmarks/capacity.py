"""Measures how many facts a memory holds: facts are added one at a time, and all are probed after each stretch.

Two controls run beside the shipped method: plain MEMIT (`history=off`), and one fact a person (`subjects=distinct`).
The capacity limit is off, so that the curve shows what it prevents; `refused` in the settings names the first fact
that the service would refuse with RESOURCE_EXHAUSTED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.support.bench_memory import BenchMemory, bench_memory
from benchmarks.support.people import Examiner, held_out, told_facts
from benchmarks.support.summary import summary
from core.facts import Fact

POINTS = (1, 2, 5, 10, 13, 14, 20, 30, 50, 100, 200)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant: edits constrained by earlier keys or not (`history`), several facts a person or one (`shared`)."""

    history: bool
    shared: bool

    @property
    def keys(self) -> dict[str, str]:
        return {"history": "on" if self.history else "off", "subjects": "shared" if self.shared else "distinct"}


ARMS = (Arm(True, True), Arm(False, True), Arm(True, False))


def run(
    *,
    facts: int = 200,
    seeds: int = 3,
    progress: Progress = lambda done, total, what: None,
    overrides: dict[str, float | int | bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """Rows `n, history, subjects, raw, chat, paraphrase, neighbours, strangers, unanswered, perplexity_drift,
    seconds_per_fact, bytes_per_fact, key_occupancy`: means over seeds, and the worst seed as `<key>_worst`."""
    measured: dict[tuple[Arm, int], list[dict[str, float]]] = {}
    refused: list[dict[str, Any]] = []
    settings = {"facts": facts, "seeds": seeds, "each": 4, "overrides": overrides or {}, "refused": refused}
    for number, arm in enumerate(ARMS):
        for nth, seed in enumerate(held_out(seeds)):
            what = f"history {arm.keys['history']}, subjects {arm.keys['subjects']}, seed {seed}"
            report = lambda n, what=what, number=number, nth=nth: progress(  # noqa: E731
                (number * seeds + nth) * facts + min(n, facts), len(ARMS) * seeds * facts, what
            )
            for n, row in _tell(arm, facts, seed, overrides or {}, refused, report):
                measured.setdefault((arm, n), []).append(row)
                rows = [{"n": n, **arm_.keys, **summary(runs)} for (arm_, n), runs in measured.items()]
                yield {"bench": "capacity", "settings": settings, "rows": rows}


def _tell(
    arm: Arm,
    number: int,
    seed: int,
    overrides: dict[str, float | int | bool],
    refused: list[dict[str, Any]],
    report: Callable[[int], None],
) -> Iterator[tuple[int, dict[str, float]]]:
    facts = told_facts(number, seed=seed, each=4 if arm.shared else 1)
    with bench_memory({**overrides, "history": arm.history}) as memory:
        examiner = Examiner(memory.model, facts, seed=seed)
        seconds, full = 0.0, False
        for n, fact in enumerate(facts, 1):
            if not full and (full := memory.would_refuse(fact)):
                refused.append({"n": n, "seed": seed, **arm.keys, "key_occupancy": memory.state.key_occupancy})
            seconds += memory.tell([fact])
            report(n)
            if n in POINTS or n == number or not n % 100:
                yield n, _row(memory, examiner, facts[:n], seconds)


def _row(memory: BenchMemory, examiner: Examiner, told: Sequence[Fact], seconds: float) -> dict[str, float]:
    return {
        **asdict(examiner.examine(told)),
        "seconds_per_fact": seconds / len(told),
        "bytes_per_fact": memory.bytes_per_fact,
        "key_occupancy": memory.state.key_occupancy,
    }
