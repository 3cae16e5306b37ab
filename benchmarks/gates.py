"""Measures each part of a sleep by ablation: the same facts and nights with one part left out.

- `shipped`: rehearsal, KL to the base model, a gate for each fact.
- `no rehearsal`: neither rehearsed texts nor dissolved facts in training.
- `no KL`: rehearsed texts are left out of the loss; dissolved facts stay in it.
- `whole edit`: one verdict for all facts: all advance or all retreat, by the share of all probes that passed.
- `ten steps a fact`: rank 16, one context a step, ten steps a fact, no rehearsal, and every fact advances. This is the
  budget of the predecessor's recipe, on this memory's modules and with all wordings of a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.sleep import nights
from benchmarks.support.bench_memory import Judge, fact_by_fact
from benchmarks.support.people import held_out
from benchmarks.support.summary import summary
from core.decide.commands import RecordAudit
from core.policy import SleepPolicy, Training

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant.

    Attributes:
        change: makes its policy from the shipped one and the number of facts.
        judge: may change the verdicts of its gates.
    """

    name: str
    change: Callable[[SleepPolicy, int], SleepPolicy]
    judge: Judge = fact_by_fact


def _one_verdict(gate: RecordAudit) -> RecordAudit:
    share = sum(fact.passed for fact in gate.audited) / sum(fact.asked for fact in gate.audited)
    return _all(gate, healthy=share >= SleepPolicy().gate)


def _trust(gate: RecordAudit) -> RecordAudit:
    return _all(gate, healthy=True)


def _all(gate: RecordAudit, *, healthy: bool) -> RecordAudit:
    return replace(gate, audited=tuple(replace(fact, healthy=healthy) for fact in gate.audited))


def _training(policy: SleepPolicy, **changes: Any) -> SleepPolicy:
    return replace(policy, training=replace(policy.training, **changes))


def _unguarded(policy: SleepPolicy) -> SleepPolicy:
    """`policy` without limits on harm, so that no night is rolled back and the harm is measured."""
    return replace(policy, perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0)


ARMS = (
    Arm("shipped", lambda policy, _: policy),
    Arm("no rehearsal", lambda p, _: _unguarded(replace(_training(p, rehearsal=0), rehearsed=0))),
    Arm("no KL", lambda p, _: _unguarded(_training(p, divergence_weight=0.0))),
    Arm("whole edit", lambda p, _: _unguarded(p), _one_verdict),
    Arm(
        "ten steps a fact",
        lambda p, n: _unguarded(
            replace(
                p,
                training=Training(
                    rank=16, steps=10 * n, learning_rate=p.training.learning_rate, batch=1, rehearsal=0,
                    divergence_weight=0.0, enough=0.0,
                ),
                rehearsed=0, trainings=1, refreshes=0,
            )
        ),
        _trust,
    ),
)  # fmt: skip


def run(
    *, facts: int = 20, cycles: int = 3, seeds: int = 1, progress: Progress = lambda done, total, what: None
) -> Iterator[dict[str, Any]]:
    """Rows `arm, raw, chat, paraphrase, neighbours, strangers, unanswered, perplexity_drift, dissolved, seconds` after
    the last cycle."""
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
