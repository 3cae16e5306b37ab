"""Measures a month: new facts every day, a sleep every night, and probes of all facts so far.

Each day's facts are about new people. After its third night a fact's edit has left the weights, and adapters alone
carry it. Controls are those of `benchmarks/capacity.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.real import days
from benchmarks.support.bench_memory import On, bench_memory
from benchmarks.support.people import Examiner, held_out, told_facts
from benchmarks.support.summary import summary
from core.facts import Fact
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.editable_model import EditableModel

Progress = Callable[[int, int, str], None]


def run(
    *,
    nights: int = 30,
    facts_per_night: int = 10,
    seeds: int = 1,
    model: str = "",
    quick: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `night, chat, oldest_minus_newest, strangers, perplexity_drift, active_edits, seconds`, neighbours and
    unanswered questions; `oldest_minus_newest` is chat recall of the oldest tenth of facts minus that of the newest.
    On a `model` other than dormouse they are those of `benchmarks.real.days`."""
    if model:
        yield from days.run(On(model), nights, facts_per_night, seeds, quick, progress)
        return
    settings = {"nights": nights, "facts_per_night": facts_per_night, "seeds": seeds}
    measured: dict[int, list[dict[str, float]]] = {}
    for nth, seed in enumerate(held_out(seeds)):
        facts = told_facts(nights * facts_per_night, seed=seed)
        with bench_memory({}) as memory:
            examiner = Examiner(memory.model, facts, seed=seed)
            assert memory.state.created is not None
            batch = memory.state.created.hyperparameters.batch
            for night in range(1, nights + 1):
                told = facts[: night * facts_per_night]
                new = told[-facts_per_night:]
                seconds = sum(memory.tell(new[start : start + batch]) for start in range(0, len(new), batch))
                slept = memory.sleep(seed=seed * 1000 + night)
                seen = examiner.examine(told)
                right = _chat(memory.model, told)
                tenth = max(1, len(told) // 10)
                row = {
                    "chat": seen.chat,
                    "oldest_minus_newest": _mean(right[:tenth]) - _mean(right[-tenth:]),
                    "raw": seen.raw,
                    "paraphrase": seen.paraphrase,
                    "neighbours": seen.neighbours,
                    "strangers": seen.strangers,
                    "unanswered": seen.unanswered,
                    "perplexity_drift": seen.perplexity_drift,
                    "active_edits": float(sum(bool(state.edits) for state in memory.state.facts.values())),
                    "completed": float(slept.night.completed),
                    "seconds": seconds + slept.seconds,
                }
                measured.setdefault(night, []).append(row)
                progress(nth * nights + night, seeds * nights, f"seed {seed}, chat {seen.chat:.2f}")
                rows = [{"night": night, **summary(runs)} for night, runs in measured.items()]
                yield {"bench": "lifelong", "settings": settings, "rows": rows}


def _chat(model: EditableModel, facts: Sequence[Fact]) -> list[bool]:
    probes = [Probe(fact.wordings.questions[0], True, fact.wordings.answer, fact.object) for fact in facts]
    return [probe.passes(output) for probe, output in zip(probes, run_probes(model, probes), strict=True)]


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
