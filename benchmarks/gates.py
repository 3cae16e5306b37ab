"""Measures each part of a sleep by ablation: the same facts and nights with one part left out.

- `shipped`: rehearsal, KL to the base model, a gate for each fact.
- `no rehearsal`: neither rehearsed texts nor dissolved facts in training.
- `no KL`: rehearsed texts are left out of the loss; dissolved facts stay in it.
- `whole edit`: one verdict for all facts: all advance or all retreat, by the share of all probes that passed.
- `ten steps a fact`: rank 16, one context a step, ten steps a fact, no rehearsal, and every fact advances. This is the
  budget of the predecessor's recipe, on this memory's modules and with all wordings of a fact.

On a real model nights train values, which rehearse nothing. There `every fact advances` leaves out the gate, `one
training` the second one and the repair, and `ten steps a fact` trains a LoRA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.real import nights as real_nights
from benchmarks.sleep import nights
from benchmarks.support.arms import TEN_STEPS, Arm, one_verdict, shipped, training, trust, unguarded
from benchmarks.support.bench_memory import On
from benchmarks.support.people import held_out
from benchmarks.support.summary import summary
from core.policy import SleepPolicy

Progress = Callable[[int, int, str], None]

ARMS = (
    Arm("shipped", shipped),
    Arm("no rehearsal", lambda p, _: unguarded(replace(training(p, rehearsal=0), rehearsed=0))),
    Arm("no KL", lambda p, _: unguarded(training(p, divergence_weight=0.0))),
    Arm("whole edit", unguarded, one_verdict),
    TEN_STEPS,
)
OF_VALUES = (
    Arm("shipped", shipped),
    Arm("whole edit", unguarded, one_verdict),
    Arm("every fact advances", unguarded, trust),
    Arm("one training", lambda p, _: unguarded(replace(p, trainings=1, repairs=0))),
    TEN_STEPS,
)


def run(
    *,
    facts: int = 20,
    cycles: int = 3,
    seeds: int = 1,
    model: str = "",
    quick: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `arm, raw, chat, paraphrase, neighbours, strangers, unanswered, perplexity_drift, dissolved, seconds` after
    the last cycle; on a `model` other than dormouse those of `benchmarks.real.nights`."""
    if model:
        yield from real_nights.run("gates", On(model), [facts], cycles, seeds, OF_VALUES, quick, progress)
        return
    settings = {"facts": facts, "cycles": cycles, "seeds": seeds}
    measured: dict[str, list[dict[str, float]]] = {}
    done = 0
    for arm in ARMS:
        for seed in held_out(seeds):
            policy = arm.change(SleepPolicy(), facts)
            measured.setdefault(arm.name, []).append(list(nights(facts, seed, cycles, policy, arm.judge))[-1].row)
            progress(done := done + 1, len(ARMS) * seeds, arm.name)
            rows = [{"arm": name, **summary(runs)} for name, runs in measured.items()]
            yield {"bench": "gates", "settings": settings, "rows": rows}
