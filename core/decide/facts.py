"""`decide` for facts on their way into the weights: added, retried, written, failed. Pure; see `core.decide`."""

from __future__ import annotations

from core.decide import history, retry, sleep
from core.decide.commands import (
    AddFacts,
    RecordFailure,
    RetryFacts,
    SupersedeFact,
    ToldFact,
)
from core.decide.idempotency import is_new, known_facts
from core.decide.limits import MAX_BATCH, check_fact
from core.errors.base import CapacityReached, Contradiction, InvalidField, StaleWork
from core.events import Event
from core.events.facts import EditComputed, FactAdded, FactInjected, WorkFailed
from core.events.history import FactsRepeated, FactWithdrawn
from core.facts import Fact
from core.hyperparameters import KEYS_PER_FACT
from core.ids import FactId
from core.state.memory import Memory, Status, statement_key
from core.state.work import MAX_ATTEMPTS, Erase, Inject, PrepareStatistics, Purge, SleepStep, Withdraw, still_owed
from core.texts import sentence
from core.wordings import are_own


def add_facts(memory: Memory, command: AddFacts) -> tuple[Event, ...]:
    if not is_new(memory, command):
        return ()
    if not command.facts:
        raise InvalidField("facts", "is empty; send at least one fact")
    if len(command.facts) > MAX_BATCH:
        raise InvalidField(
            "facts", f"has {len(command.facts)} facts, at most {MAX_BATCH} are allowed; send several requests"
        )
    new = _new_facts(memory, command.facts)
    known = known_facts(memory, command.facts)
    retried = retry.told_again(memory, known)
    _check_capacity(memory, len(new) + len(retried))
    if not new:
        return (FactsRepeated(request=command.request, facts=known), *retried)
    added = tuple(
        FactAdded(
            fact=told.fact.id,
            statement=told.fact,
            source=told.source,
            request=command.request,
            request_digest=command.request_digest,
        )
        for told in new
    )
    return (*added, *retried)


def retry_facts(memory: Memory, command: RetryFacts) -> tuple[Event, ...]:
    if not is_new(memory, command):
        return ()
    retried = retry.retry(memory, command)
    _check_capacity(memory, sum(memory.facts[one.fact].status is Status.PARKED for one in retried))
    return retried


def supersede(memory: Memory, command: SupersedeFact) -> tuple[Event, ...]:
    if not is_new(memory, command):
        return ()
    events = history.supersede(memory, command)
    check_fact(command.new.fact, "", _own(memory, command.new.fact))
    if memory.facts[command.fact].status is not Status.INJECTED:  # otherwise keys leave, too
        _check_capacity(memory, 1)
    return events


def _new_facts(memory: Memory, told: tuple[ToldFact, ...]) -> list[ToldFact]:
    """Those of `told` that are not known already, each checked against the memory and against the others."""
    new: dict[tuple[str, str], ToldFact] = {}
    for index, one in enumerate(told):
        path = f"facts[{index}]"
        check_fact(one.fact, path, _own(memory, one.fact))
        key = statement_key(one.fact.subject, one.fact.relation)
        known = memory.by_statement.get(key)
        before = memory.facts[known].fact if known is not None else new[key].fact if key in new else None
        if before is None:
            new[key] = one
        elif sentence(before.object) != sentence(one.fact.object):
            raise Contradiction(path, before.id, before.subject, before.relation, before.object)
    return list(new.values())


def _own(memory: Memory, fact: Fact) -> bool:
    """Whether the prompts of `fact` are the memory's own."""
    return are_own(fact, memory.created.phrasebook if memory.created is not None else {})


def _check_capacity(memory: Memory, more: int) -> None:
    """Refuses facts that would raise the crowding over the memory's limit, those still pending counted in.

    A fact is expected to cost what those in force cost on average, and before any is, what its base leads to expect.
    """
    if memory.created is None or not more:
        return
    in_force = sum(bool(state.edits) for state in memory.facts.values())  # counter-edits hold keys, too
    each = memory.crowding / in_force if in_force else _keys_per_fact(memory) / memory.created.key_width
    expected, limit = memory.crowding + each * (len(memory.pending) + more), memory.created.capacity
    if expected > limit:
        room = int((limit - memory.crowding) / each) - len(memory.pending)
        raise CapacityReached(expected, limit, max(room, 0))


def _keys_per_fact(memory: Memory) -> float:
    """Dimensions of the key space that a fact will take: as the base's profile says, or was measured on it."""
    said = memory.created.keys_per_fact if memory.created else 0.0
    measured = memory.statistics.keys_per_fact if memory.statistics else 0.0
    return said or measured or KEYS_PER_FACT


def record_injection(memory: Memory, edit: EditComputed) -> tuple[Event, ...]:
    facts = tuple(columns.fact for columns in edit.columns)
    if not still_owed(memory, Inject(facts=facts, weights=edit.weights_before, attempt=1)):
        raise StaleWork("the weights have changed or a fact is no longer pending")
    events: list[Event] = [edit]
    for one in edit.columns:
        events.append(FactInjected(fact=one.fact, edit=edit.edit, stage=0, scale=one.scale))
        predecessor = memory.facts[one.fact].predecessor
        if predecessor is not None and memory.facts[predecessor].in_weights:
            events.append(_replaced(memory, predecessor, edit))
    return tuple(events)


def _replaced(memory: Memory, fact: FactId, edit: EditComputed) -> FactWithdrawn:
    """What `edit`, which writes the successor of `fact`, does to it."""
    return FactWithdrawn(
        fact=fact,
        edit=edit.edit,
        adapters=tuple(one.id for one in memory.adapters.values() if fact in one.facts),
        weights_before=edit.weights_before,
        weights_after=edit.weights_after,
        crowding=edit.crowding,
        seconds=0.0,
    )


def record_failure(memory: Memory, command: RecordFailure) -> tuple[Event, ...]:
    work = command.work
    facts: tuple[FactId, ...] = ()
    in_vain = work.attempt >= MAX_ATTEMPTS or not command.retry
    alone, consequences = True, tuple[Event, ...]()
    match work:
        case Inject():
            facts = tuple(fact for fact in work.facts if fact in memory.pending)
            if not facts:
                raise StaleWork("none of its facts is pending any more")
            if memory.sleep is not None:  # what it undoes is its own work alone
                raise StaleWork("a sleep has begun")
            alone = len(work.facts) == 1
        case PrepareStatistics():
            if memory.statistics is not None:
                raise StaleWork("its statistics are prepared already")
            alone = False  # it is tried again and again, as nothing can be written without them
        case Purge():
            if not still_owed(memory, work):
                raise StaleWork("the memory is purged already")
            alone = False  # it is tried again and again, as what was deleted must not stay
        case Withdraw() | Erase():
            facts = (work.fact,)
            if not still_owed(memory, work):
                raise StaleWork("the fact has left the weights, or is erased already")
        case SleepStep():
            consequences = sleep.failed(memory, work, command.message, for_good=in_vain)
    parked = alone and in_vain
    failed = WorkFailed(
        work=work.name,
        facts=facts,
        attempt=work.attempt,
        reason=command.reason,
        message=command.message,
        parked=parked,
    )
    return (failed, *consequences)
