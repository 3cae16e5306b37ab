"""Measures the time and recall of finding target values one by one and in batches of 8 and 32.

The same facts are written into the same base weights each time, so that only the batch differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any

from benchmarks.support.bench_memory import bench_memory
from benchmarks.support.people import held_out, told_facts
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.memit.edit import solve_values
from core.weights.model.contexts import contexts_of

BATCHES = (1, 8, 32)

Progress = Callable[[int, int, str], None]


def run(
    *, facts: int = 64, seeds: int = 1, progress: Progress = lambda done, total, what: None
) -> Iterator[dict[str, Any]]:
    """Rows `batch, seconds_per_fact, speedup, raw`: seconds of the optimisation; `..._written` of the whole edit."""
    spent: dict[int, list[float]] = {}
    whole: dict[int, list[float]] = {}
    raw: dict[int, list[float]] = {}
    done, total = 0, len(BATCHES) * seeds * facts
    for seed in held_out(seeds):
        told = told_facts(facts, seed=seed)
        for batch in BATCHES:
            with bench_memory({"batch": batch}) as memory:
                model, created = memory.model, memory.state.created
                assert created is not None
                options = created.hyperparameters
                began = time.monotonic()
                for start in range(0, facts, batch):
                    group = told[start : start + batch]
                    contexts = [
                        c for i, fact in enumerate(group) for c in contexts_of(model, i, fact, created.prefixes)
                    ]
                    solve_values(model, contexts, options)
                    progress(done := done + len(group), total, f"batches of {batch}")
                spent.setdefault(batch, []).append((time.monotonic() - began) / facts)
                seconds = sum(memory.tell(told[start : start + batch]) for start in range(0, facts, batch))
                whole.setdefault(batch, []).append(seconds / facts)
                probes = [Probe(fact.wordings.statements[0], False, "", fact.object) for fact in told]
                outputs = run_probes(memory.model, probes)
                right = sum(probe.passes(output) for probe, output in zip(probes, outputs, strict=True))
                raw.setdefault(batch, []).append(right / facts)
        single = mean(spent[1])
        rows = [
            {
                "batch": batch,
                "seconds_per_fact": mean(spent[batch]),
                "seconds_per_fact_worst": max(spent[batch]),
                "speedup": single / mean(spent[batch]),
                "speedup_worst": min(spent[1]) / max(spent[batch]),
                "raw": mean(raw[batch]),
                "raw_worst": min(raw[batch]),
                "seconds_per_fact_written": mean(whole[batch]),
            }
            for batch in BATCHES
        ]
        yield {"bench": "values", "settings": {"facts": facts, "seeds": seeds}, "rows": rows}
