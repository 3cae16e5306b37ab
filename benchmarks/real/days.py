"""Measures days on a real model: new facts about new people, a night after them, then questions about all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from benchmarks.real.bars import Bar, judged
from benchmarks.real.examiner import QUICK, Sizes
from benchmarks.real.nights import EACH, examined, night_of, state_of
from benchmarks.real.state import Unfinished
from benchmarks.support.bench_memory import On, bench_memory
from benchmarks.support.people import held_out
from benchmarks.support.provenance import commit, machine
from service.weights.base_models import BaseModels

OF_DAYS = {"chat": Bar(0.98), "known_right": Bar(0.97)}

Progress = Callable[[int, int, str], None]


def run(
    on: On, nights: int, facts_per_night: int, seeds: int, quick: bool, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yields documents with a row for each seed and night. A run that is killed goes on after its last whole night."""
    on, sizes = replace(on, bases=BaseModels("cpu")), QUICK if quick else Sizes()
    settings = {
        "model": on.model, "nights": nights, "facts_per_night": facts_per_night, "seeds": seeds, "sizes": asdict(sizes),
    }  # fmt: skip
    kept = Unfinished("lifelong", settings)
    for nth, seed in enumerate(held_out(seeds)):
        for row in _lived(seed, nights, facts_per_night, on, sizes, kept):
            kept.add(row)
            progress(nth * nights + row["night"], seeds * nights, f"seed {seed}, chat {row['chat']:.2f}")
            yield {
                "bench": "lifelong", "settings": settings, "rows": kept.rows, "bars": judged(kept.rows, OF_DAYS),
            }  # fmt: skip
    kept.end()


def _lived(
    seed: int, nights: int, facts_per_night: int, on: On, sizes: Sizes, kept: Unfinished
) -> Iterator[dict[str, Any]]:
    """Yields the rows of a seed that are not there yet."""
    with bench_memory({}, kept.memory(f"seed-{seed}"), on) as memory:
        world, facts, examiner = examined(seed, nights * facts_per_night, memory, sizes)
        assert memory.state.created is not None
        batch = memory.state.created.hyperparameters.batch
        for night in range(1, nights + 1):
            if kept.row(seed=seed, night=night) is not None:
                continue
            known = night * facts_per_night
            told = facts[len(memory.state.facts) : known]
            telling = sum(memory.tell(told[start : start + batch]) for start in range(0, len(told), batch))
            if len(memory.state.nights) < night:
                cost = night_of(memory.sleep(seed=seed * 1000 + night))
            else:
                cost = {}  # a kill came between the night and its row
            row = examiner.examine(memory.model, world.facts[:known], facts[:known])
            tenth = max(1, known // 10)
            old, new = (
                examiner.recall(memory.model, world.facts[part], facts[part])["chat"]
                for part in (slice(tenth), slice(known - tenth, known))
            )
            yield {
                "seed": seed, "method": "values", "per_subject": EACH, "n": known, "night": night, **row,
                "oldest_minus_newest": old - new, **state_of(memory), "columns_per_fact": memory.columns / known,
                **cost, **_per(cost.get("seconds"), known), "seconds_telling": telling,
                "bytes": memory.bytes, "commit": commit(), "machine": machine(),
            }  # fmt: skip


def _per(seconds: float | None, facts: int) -> dict[str, float]:
    return {} if seconds is None else {"seconds_a_fact": seconds / facts}
