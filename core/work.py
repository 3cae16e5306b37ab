"""What an executor owes a memory now, derived from its state and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import Digest, FactId
from core.memory import Memory

MAX_ATTEMPTS = 3
RETRY_SECONDS = (0.0, 2.0, 10.0)  # before attempt 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareStatistics:
    """Measure the second moments of the keys of ordinary text."""

    name: ClassVar[str] = "prepare_statistics"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inject:
    """Write these facts into the weights whose digest is `weights`."""

    name: ClassVar[str] = "inject"
    facts: tuple[FactId, ...]
    weights: Digest
    attempt: int


Work = PrepareStatistics | Inject


def next_work(memory: Memory) -> Work | None:
    """The one next piece of work; None when nothing is owed.

    Facts are written in the order they were told, in batches. After a failure the facts of the failed batch are
    tried one by one, so that a fact that cannot be written parks alone.
    """
    if memory.created is None:
        return None
    if memory.statistics is None:
        if memory.statistics_parked:
            return None
        return PrepareStatistics(attempt=memory.statistics_failures + 1)
    if not memory.pending or memory.weights is None:
        return None
    batch: list[FactId] = []
    for fact in memory.pending:
        failures = memory.facts[fact].failures
        if failures:
            if not batch:
                return Inject(facts=(fact,), weights=memory.weights, attempt=failures + 1)
            break
        batch.append(fact)
        if len(batch) >= memory.created.hyperparameters.batch:
            break
    return Inject(facts=tuple(batch), weights=memory.weights, attempt=1)


def seconds_before(work: Work) -> float:
    """How long to wait before this attempt."""
    return RETRY_SECONDS[min(work.attempt, MAX_ATTEMPTS) - 1]


def still_owed(memory: Memory, work: Inject) -> bool:
    """Whether the result of `work` fits the memory as it is now: facts told meanwhile do not matter."""
    return memory.weights == work.weights and all(fact in memory.pending for fact in work.facts)
