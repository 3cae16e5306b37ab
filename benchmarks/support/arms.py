"""The variants of a sleep that benchmarks compare with the one that ships."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.support.bench_memory import Judge, fact_by_fact
from core.decide.commands import RecordAudit
from core.policy import SleepPolicy, Training


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant.

    Attributes:
        change: makes its policy from the shipped one and the number of facts.
        judge: may change the verdicts of its gates.
        lora: whether a memory of neurons trains a LoRA instead of further values.
    """

    name: str
    change: Callable[[SleepPolicy, int], SleepPolicy]
    judge: Judge = fact_by_fact
    lora: bool = False


def shipped(policy: SleepPolicy, _: int) -> SleepPolicy:
    """Returns `policy` as it is."""
    return policy


def unguarded(policy: SleepPolicy, _: int = 0) -> SleepPolicy:
    """Returns `policy` without limits on harm, so that no night is rolled back and the harm is measured."""
    return replace(
        policy, perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0,
        contamination_limit=1.0, untold_limit=1.0, divergence_limit=1e9,
    )  # fmt: skip


def training(policy: SleepPolicy, **changes: Any) -> SleepPolicy:
    """Returns `policy` with another training."""
    return replace(policy, training=replace(policy.training, **changes))


def ten_steps(policy: SleepPolicy, facts: int) -> SleepPolicy:
    """Returns the predecessor's budget: rank 16, one context a step, ten steps a fact, and no rehearsal."""
    few = Training(
        rank=16, steps=10 * facts, learning_rate=policy.training.learning_rate, batch=1, rehearsal=0,
        divergence_weight=0.0, enough=0.0,
    )  # fmt: skip
    return unguarded(replace(policy, training=few, rehearsed=0, trainings=1, refreshes=0))


def one_verdict(gate: RecordAudit) -> RecordAudit:
    """Lets all facts advance or all retreat, by the share of all probes that passed."""
    share = sum(fact.passed for fact in gate.audited) / sum(fact.asked for fact in gate.audited)
    return _all(gate, healthy=share >= SleepPolicy().gate)


def trust(gate: RecordAudit) -> RecordAudit:
    """Lets every fact advance."""
    return _all(gate, healthy=True)


def _all(gate: RecordAudit, *, healthy: bool) -> RecordAudit:
    return replace(gate, audited=tuple(replace(fact, healthy=healthy) for fact in gate.audited))


TEN_STEPS = Arm("ten steps a fact", ten_steps, trust, lora=True)
