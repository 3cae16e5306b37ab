"""What an executor owes a memory now, derived from its state and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import Digest, FactId, SleepId
from core.state.memory import Memory
from core.state.sleep import Occasion, Step

MAX_ATTEMPTS = 3
RETRY_SECONDS = (0.0, 2.0, 10.0)  # before attempt 1, 2, 3
LATER_SECONDS = 600.0  # before each further one, where nothing can be done without the work


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepStep:
    """One step of a sleep, at the weights whose digest is `weights`.

    Attributes:
        facts: an audit's, all that the weights carry and those whose counter-edits are in force; a refresh's, the
            degraded; otherwise those whose edits are in force.
        occasion: of an audit or a gate.
    """

    sleep: SleepId
    step: Step
    occasion: Occasion
    facts: tuple[FactId, ...]
    weights: Digest
    attempt: int

    @property
    def name(self) -> str:
        return self.step.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take this fact out of the weights whose digest is `weights`."""

    name: ClassVar[str] = "withdraw"
    fact: FactId
    weights: Digest
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Destroy the data key of this fact, which is out of the weights."""

    name: ClassVar[str] = "erase"
    fact: FactId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Destroy the words and deltas of this memory, which was deleted."""

    name: ClassVar[str] = "purge"
    attempt: int


OnWeights = PrepareStatistics | Inject | SleepStep | Withdraw  # work that takes a model
Work = OnWeights | Erase | Purge


def next_work(memory: Memory) -> Work | None:
    """The one next piece of work; None when nothing is owed.

    A sleep goes first: facts told or taken back meanwhile wait for its end, so that what it undoes is its own work
    alone. What was taken back leaves before anything new is written; what was superseded leaves when its successor is.
    Erasing comes last: it changes no weights, and whoever reads the database may hold it up. An executor does not let
    it wait for the others, though; see `erasure_due`.
    Facts are written in the order they were told, in batches. After a failure the facts of the failed batch are
    tried one by one, so that a fact that cannot be written parks alone.
    """
    if memory.created is None or memory.purged:
        return None
    if memory.deleted:
        return Purge(attempt=memory.failures + 1)
    if memory.statistics is None:
        return PrepareStatistics(attempt=memory.failures + 1)
    if memory.sleep is not None:
        return _sleep_step(memory)
    if (leaves := _leaves_now(memory)) is not None:
        return leaves
    if not memory.pending or memory.weights is None:
        return erasure_due(memory)
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


def _leaves_now(memory: Memory) -> Withdraw | None:
    """The first fact that has to go and whose successor, if it has one, is not about to take its place."""
    for fact in memory.pending_withdrawal:
        state = memory.facts[fact]
        if state.successor not in memory.pending and memory.weights is not None:
            return Withdraw(fact=fact, weights=memory.weights, attempt=state.failures + 1)
    return None


def erasure_due(memory: Memory) -> Erase | None:
    """The first erasure that may be done now, whatever else is owed: what is to be written may wait for long.

    None in a sleep, which may put back into the weights what it took out of them.
    """
    if memory.sleep is not None:
        return None
    for fact in memory.pending_erasure:
        if _is_out(memory, fact):
            return Erase(fact=fact, attempt=memory.facts[fact].failures + 1)
    return None


def will_leave(memory: Memory, fact: FactId) -> bool:
    """Whether an executor is yet to take `fact` out of the weights, or to erase it once it is out."""
    return fact in memory.pending_withdrawal or (fact in memory.pending_erasure and _is_out(memory, fact))


def _is_out(memory: Memory, fact: FactId) -> bool:
    """Whether the weights do without `fact`; one whose withdrawal failed for good they still carry."""
    return fact not in memory.pending_withdrawal and not memory.facts[fact].in_weights


def _sleep_step(memory: Memory) -> SleepStep:
    sleep, weights = memory.sleep, memory.weights
    assert sleep is not None
    assert weights is not None
    carried = tuple(fact for fact, state in memory.facts.items() if state.carried_by_edit)
    step = sleep.step(tuple(fact for fact in carried if not memory.facts[fact].awaits_withdrawal))
    facts = {
        Step.AUDIT: tuple(fact for fact, state in memory.facts.items() if state.in_weights or state.carried_by_edit),
        Step.REFRESH: sleep.degraded,
        Step.END: (),
    }.get(step, carried)
    occasion = Occasion.GATE if step is Step.GATE else sleep.occasion
    return SleepStep(
        sleep=sleep.id, step=step, occasion=occasion, facts=facts, weights=weights, attempt=sleep.failures + 1
    )


def seconds_before(work: Work) -> float:
    """How long to wait before this attempt; an executor that begins anew does not wait."""
    if work.attempt > MAX_ATTEMPTS and isinstance(work, PrepareStatistics | Purge):
        return LATER_SECONDS
    return RETRY_SECONDS[min(work.attempt, MAX_ATTEMPTS) - 1]


def still_owed(memory: Memory, work: Inject | SleepStep | Withdraw | Erase | Purge) -> bool:
    """Whether the result of `work` fits the memory as it is now: facts told meanwhile do not matter."""
    if isinstance(work, Purge):
        return bool(memory.deleted) and not memory.purged
    if isinstance(work, SleepStep):
        return memory.sleep is not None and _sleep_step(memory) == work
    if isinstance(work, Erase):
        return memory.sleep is None and work.fact in memory.pending_erasure and _is_out(memory, work.fact)
    if isinstance(work, Withdraw):
        return memory.sleep is None and memory.weights == work.weights and work.fact in memory.pending_withdrawal
    return (
        memory.sleep is None and memory.weights == work.weights and all(fact in memory.pending for fact in work.facts)
    )
