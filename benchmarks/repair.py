"""Measures repair: facts are written without protection until they overwrite one another, and then refreshed.

Only this benchmark writes without protection (plain MEMIT, where edits ignore one another). `joint` is a sleep: all
degraded facts in one protected update, audited and repeated. `one_by_one` is the older method: a protected update for
each degraded fact, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import Any

from benchmarks.support.bench_memory import BenchMemory, bench_memory
from benchmarks.support.people import held_out, told_facts
from core.facts import Fact
from core.weights.evaluation.probes import Probe, run_probes

ENOUGH_HARM = 0.6  # share of right facts at which the repair begins
MOST = 100  # facts, at most, until then

Progress = Callable[[int, int, str], None]


def run(*, seeds: int = 3, progress: Progress = lambda done, total, what: None) -> Iterator[dict[str, Any]]:
    """Rows `method, facts, before, after, healthy_unchanged, seconds`; a fact is right if both raw and chat are."""
    measured: dict[str, list[dict[str, float]]] = {}
    for number, method in enumerate(("joint", "one_by_one")):
        for nth, seed in enumerate(held_out(seeds), 1):
            measured.setdefault(method, []).append(_repair(method, seed))
            progress(number * seeds + nth, 2 * seeds, f"{method}, seed {seed}")
            rows = [{"method": by, **_row(runs)} for by, runs in measured.items()]
            yield {"bench": "repair", "settings": {"seeds": seeds, "until": ENOUGH_HARM}, "rows": rows}


def _row(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    worst = {f"{key}_worst": min(run[key] for run in runs) for key in ("after", "healthy_unchanged")}
    return {**{key: mean(run[key] for run in runs) for key in runs[0]}, **worst}


def _repair(method: str, seed: int) -> dict[str, float]:
    facts = told_facts(MOST, seed=seed)
    with bench_memory({}) as memory:
        told: list[Fact] = []
        before: list[bool] = []
        for start in range(0, MOST, 5):
            for fact in facts[start : start + 5]:
                memory.tell_unprotected(fact)
            told = facts[: start + 5]
            before = _right(memory, told)
            if mean(before) <= ENOUGH_HARM:
                break
        seconds = memory.sleep(seed=seed).seconds if method == "joint" else memory.refresh_one_by_one()
        after = _right(memory, told)
        healthy = [now for now, was in zip(after, before, strict=True) if was]
        return {
            "facts": float(len(told)),
            "before": mean(before),
            "after": mean(after),
            "healthy_unchanged": mean(healthy) if healthy else 1.0,
            "seconds": seconds,
        }


def _right(memory: BenchMemory, facts: Sequence[Fact]) -> list[bool]:
    raw = [Probe(fact.wordings.statements[0], False, "", fact.object) for fact in facts]
    chat = [Probe(fact.wordings.questions[0], True, fact.wordings.answer, fact.object) for fact in facts]
    passed = [probe.passes(said) for probe, said in zip(raw + chat, run_probes(memory.model, raw + chat), strict=True)]
    return [raw_ and chat_ for raw_, chat_ in zip(passed[: len(facts)], passed[len(facts) :], strict=True)]
