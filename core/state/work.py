"""`next_work`: the next piece of work on a memory, derived from its state alone. There is no other queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import ConversationKey, Digest, FactId, SleepId
from core.remember import Remember
from core.state.memory import Memory
from core.state.sleep import Occasion, Step

MAX_ATTEMPTS = 3
RETRY_SECONDS = (0.0, 2.0, 10.0)  # before attempt 1, 2, 3
LATER_SECONDS = 600.0  # before each further attempt at work that is retried without limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareStatistics:
    """Measure the covariance of the keys of reference text."""

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
        facts: for an audit, all facts in the weights and all with a counter-edit in force; for a refresh, the degraded
            ones; for the end, none; otherwise those that an edit carries.
        occasion: occasion of the audit or gate.
    """

    sleep: SleepId
    step: Step
    occasion: Occasion
    facts: tuple[FactId, ...]
    weights: Digest
    attempt: int

    @property
    def name(self) -> str:
        """Name of the step, as `WorkFailed` records it."""
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
    """Destroy the data key of this fact, which is not in the weights."""

    name: ClassVar[str] = "erase"
    fact: FactId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Destroy the words and deltas of this memory, which was deleted."""

    name: ClassVar[str] = "purge"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Read this turn of a user for facts; `version` is that of the event with its text."""

    name: ClassVar[str] = "read"
    conversation: str
    turn: int
    version: int
    remember: Remember
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseTexts:
    """Destroy the data key of this conversation."""

    name: ClassVar[str] = "erase_texts"
    conversation: str
    key: ConversationKey
    attempt: int


OnWeights = PrepareStatistics | Inject | SleepStep | Withdraw  # work that needs a model
OfConversations = Read | EraseTexts  # work that no other waits for
Work = OnWeights | Erase | Purge | OfConversations


def next_work(memory: Memory) -> Work | None:
    """Returns the next piece of work; None if nothing is to be done.

    This is the process manager (saga) of a memory: it says what follows from the events so far, and the command that
    records the result brings the next event. The order is:

    0. Turns of conversations to be read or erased; see `work_of_conversations`.
    1. The steps of a sleep. Facts added or retracted meanwhile wait, so that a rollback undoes nothing but the sleep.
    2. Withdrawals of retracted facts. A superseded fact leaves when its successor is written.
    3. Pending facts, in batches, in the order they were added. After a failure the facts of the batch are tried one by
       one, so that only a fact that cannot be written is parked.
    4. Erasures, because they change no weights and readers of the database may delay them. An executor may do them
       earlier; see `erasure_due`.
    """
    return work_of_conversations(memory) or work_on_facts(memory)


def work_of_conversations(memory: Memory) -> OfConversations | None:
    """Returns the reading of the first unread turn, or the next erasure of texts; neither waits for other work."""
    if memory.created is None or memory.deleted:
        return None
    for turn in memory.unread:
        return Read(
            conversation=turn.conversation,
            turn=turn.turn,
            version=turn.version,
            remember=turn.remember,
            attempt=turn.failures + 1,
        )
    for name in memory.closing:
        known = memory.conversations[name]
        return EraseTexts(conversation=name, key=known.key, attempt=known.failures + 1)
    return None


def work_on_facts(memory: Memory) -> Work | None:
    """Returns the next piece of work but that of conversations."""
    if memory.created is None or memory.purged:
        return None
    if memory.deleted:
        return Purge(attempt=memory.failures + 1)
    if memory.statistics is None:
        return PrepareStatistics(attempt=memory.failures + 1)
    if memory.sleep is not None:
        return _sleep_step(memory)
    if (withdrawal := _next_withdrawal(memory)) is not None:
        return withdrawal
    if not memory.pending or memory.weights is None:
        return erasure_due(memory)
    batch: list[FactId] = []
    for fact in memory.pending:
        failures = memory.facts[fact].failures
        if failures:  # tried alone, after those before it
            if not batch:
                return Inject(facts=(fact,), weights=memory.weights, attempt=failures + 1)
            break
        batch.append(fact)
        if len(batch) >= memory.created.hyperparameters.batch:
            break
    return Inject(facts=tuple(batch), weights=memory.weights, attempt=1)


def _next_withdrawal(memory: Memory) -> Withdraw | None:
    """Returns the first withdrawal that does not have to wait for a pending successor of its fact."""
    for fact in memory.pending_withdrawal:
        state = memory.facts[fact]
        if state.successor not in memory.pending and memory.weights is not None:
            return Withdraw(fact=fact, weights=memory.weights, attempt=state.failures + 1)
    return None


def erasure_due(memory: Memory) -> Erase | None:
    """Returns the first erasure that may be done now, whatever else is pending; None if there is none.

    There is none during a sleep, because its rollback may put a withdrawn fact back into the weights.
    """
    if memory.sleep is not None:
        return None
    for fact in memory.pending_erasure:
        if _is_out(memory, fact):
            return Erase(fact=fact, attempt=memory.facts[fact].failures + 1)
    return None


def will_leave(memory: Memory, fact: FactId) -> bool:
    """Whether an executor will still withdraw `fact`, or erase it now that it is not in the weights."""
    return fact in memory.pending_withdrawal or (fact in memory.pending_erasure and _is_out(memory, fact))


def _is_out(memory: Memory, fact: FactId) -> bool:
    """Whether `fact` is not in the weights; if its withdrawal failed for good, it still is."""
    return fact not in memory.pending_withdrawal and not memory.facts[fact].in_weights


def _sleep_step(memory: Memory) -> SleepStep:
    """Returns the next step of the sleep in progress."""
    sleep, weights = memory.sleep, memory.weights
    assert sleep is not None
    assert weights is not None
    carried = tuple(fact for fact, state in memory.facts.items() if state.carried_by_edit)
    step = sleep.step(carried, tuple(fact for fact in carried if not memory.facts[fact].awaits_withdrawal))
    facts = {
        Step.AUDIT: tuple(fact for fact, state in memory.facts.items() if state.in_weights or state.carried_by_edit),
        Step.REFRESH: sleep.degraded,
        Step.END: (),
    }.get(step, carried)
    occasion = Occasion.GATE if step is Step.GATE else sleep.occasion
    return SleepStep(
        sleep=sleep.id, step=step, occasion=occasion, facts=facts, weights=weights, attempt=sleep.failures + 1
    )


def owed_since(memory: Memory, work: Work) -> tuple[int, ...]:
    """Returns the versions of the events that `work` is owed because of; none for work on a memory as a whole."""
    match work:
        case Inject():
            return tuple(dict.fromkeys(memory.facts[fact].added for fact in work.facts))
        case Withdraw() | Erase():
            return (memory.facts[work.fact].retracted,)
        case Read():
            return (work.version,)
        case SleepStep() if memory.sleep is not None:
            return (memory.sleep.began,)
        case Purge():
            return (memory.deleted,)
    return ()


def seconds_before(work: Work) -> float:
    """Returns the seconds to wait before this attempt; an executor that has just started does not wait."""
    if work.attempt > MAX_ATTEMPTS and isinstance(work, PrepareStatistics | Purge | EraseTexts):
        return LATER_SECONDS
    return RETRY_SECONDS[min(work.attempt, MAX_ATTEMPTS) - 1]


def _of_conversations_is_owed(memory: Memory, work: OfConversations) -> bool:
    if isinstance(work, EraseTexts):
        return not memory.deleted and work.conversation in memory.closing
    read = (work.conversation, work.turn)
    return not memory.deleted and any((turn.conversation, turn.turn) == read for turn in memory.unread)


def still_owed(memory: Memory, work: Work) -> bool:
    """Whether a result of `work` still applies to the memory; facts added meanwhile do not matter."""
    if isinstance(work, PrepareStatistics):
        return memory.statistics is None and not memory.deleted
    if isinstance(work, Purge):
        return bool(memory.deleted) and not memory.purged
    if isinstance(work, Read | EraseTexts):
        return _of_conversations_is_owed(memory, work)
    if isinstance(work, SleepStep):
        return memory.sleep is not None and _sleep_step(memory) == work
    if isinstance(work, Erase):
        return memory.sleep is None and work.fact in memory.pending_erasure and _is_out(memory, work.fact)
    if isinstance(work, Withdraw):
        return memory.sleep is None and memory.weights == work.weights and work.fact in memory.pending_withdrawal
    return (
        memory.sleep is None and memory.weights == work.weights and all(fact in memory.pending for fact in work.facts)
    )
