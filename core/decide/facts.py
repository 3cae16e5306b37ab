"""`decide` for facts on their way into the weights: added, written, failed, retried. Pure; see `core/decide/`."""

from __future__ import annotations

from collections.abc import Collection

from core.decide import history, retry, sleep
from core.decide.commands import AddFacts, NewFact, RecordFailure, RecordInjection, RetryFacts, SupersedeFact
from core.decide.conversation import failed as conversation_failed
from core.decide.held import Held
from core.decide.idempotency import is_new, known_facts
from core.decide.limits import MAX_BATCH, check_fact
from core.decide.told import says_the_same
from core.errors.base import CapacityReached, Contradiction, InvalidField, StaleWork
from core.errors.harm import FalseFiresReached
from core.events import Event
from core.events.facts import EditComputed, FactAdded, FactInjected, WorkFailed
from core.events.history import FactsRepeated, FactSuperseded, FactWithdrawn
from core.facts import Origin
from core.hyperparameters import KEYS_PER_FACT
from core.ids import FactId
from core.method import Method
from core.state.false_fires import false_fires
from core.state.memory import Memory, Status, statement_key, trained_on
from core.state.user import refusal_about_user
from core.state.work import (
    MAX_ATTEMPTS,
    Erase,
    EraseTexts,
    Inject,
    PrepareStatistics,
    Purge,
    Read,
    SleepStep,
    Withdraw,
    still_owed,
)


def add_facts(memory: Memory, command: AddFacts) -> tuple[Event, ...]:
    """Adds the facts that the memory does not have, and retries those that are parked.

    An executor later writes them into the weights; see `core/state/work.py`.

    Raises InvalidField, RequestReused, NoUserFacts, AnotherUser, Contradiction, CapacityReached or FalseFiresReached.
    """
    if not is_new(memory, command):
        return ()
    if not command.facts:
        raise InvalidField("facts", "is empty; send at least one fact")
    if len(command.facts) > MAX_BATCH:
        raise InvalidField(
            "facts", f"has {len(command.facts)} facts, at most {MAX_BATCH} are allowed; send several requests"
        )
    new, superseded = _new_facts(memory, command.facts)
    known = tuple(fact for fact in known_facts(memory, command.facts) if fact not in superseded.values())
    retried = retry.retry_parked(memory, known)
    check_room(memory, len(new) + len(retried))
    if not new:
        return (FactsRepeated(request=command.request, facts=known), *retried)
    added = tuple(
        FactAdded(
            fact=candidate.fact.id,
            statement=candidate.fact,
            source=candidate.source,
            request=command.request,
            request_digest=command.request_digest,
            origin=candidate.origin,
        )
        for candidate in new
    )
    return (*added, *(FactSuperseded(fact=old, by=fact) for fact, old in superseded.items()), *retried)


def retry_facts(memory: Memory, command: RetryFacts) -> tuple[Event, ...]:
    """Makes failed work pending again.

    Raises FactUnknown, InvalidField, RequestReused, CapacityReached or FalseFiresReached.
    """
    if not is_new(memory, command):
        return ()
    retried = retry.retry(memory, command)
    parked = [event for event in retried if memory.facts[event.fact].status is Status.PARKED]
    check_room(memory, len(parked))
    return retried


def supersede(memory: Memory, command: SupersedeFact) -> tuple[Event, ...]:
    """Puts a new fact in the place of one about the same subject and relation.

    Raises FactUnknown, FactRetracted, InvalidField, RequestReused, NoUserFacts, AnotherUser, CapacityReached or
    FalseFiresReached.
    """
    if not is_new(memory, command):
        return ()
    events = history.supersede(memory, command)
    if (refusal := refusal_about_user(memory, command.new.fact.subject, command.new.source.client)) is not None:
        raise refusal
    check_fact(command.new.fact, "", command.new.origin is not Origin.CLIENT)
    frees_keys = memory.facts[command.fact].status is Status.INJECTED  # as much of the key space as the new fact takes
    if not frees_keys:
        _check_capacity(memory, 1)
    _check_false_fires(memory, (command.fact,))
    return events


def _new_facts(memory: Memory, candidates: tuple[NewFact, ...]) -> tuple[list[NewFact], dict[FactId, FactId]]:
    """Returns those of `candidates` that the memory does not have, each subject and relation once; and what they end.

    A further object of a relation that may have several makes a list with the objects before it, which supersedes the
    memory's fact: the second result has both ids.

    Raises InvalidField, NoUserFacts, AnotherUser, or Contradiction with the memory or within `candidates`.
    """
    new: dict[tuple[str, str], NewFact] = {}
    superseded: dict[FactId, FactId] = {}
    held = Held(memory, memory.created.phrasebook if memory.created is not None else {})
    for index, candidate in enumerate(candidates):
        path, fact = f"facts[{index}]", candidate.fact
        check_fact(fact, path, candidate.origin is not Origin.CLIENT)
        if (refusal := refusal_about_user(memory, fact.subject, candidate.source.client)) is not None:
            raise refusal
        key = statement_key(fact.subject, fact.relation)
        known, earlier = memory.by_statement.get(key), new.get(key)
        before = earlier.fact if earlier is not None else memory.facts[known].fact if known is not None else None
        if before is None:
            new[key] = candidate
        elif says_the_same(before, fact):
            continue
        elif held.joins(candidate, before):
            new[key] = held.joined(candidate, earlier, known)
            check_fact(new[key].fact, path, new[key].origin is not Origin.CLIENT)
            superseded |= {} if known is None else {new[key].fact.id: known}
        else:
            raise Contradiction(path, before.id, before.subject, before.relation, before.object)
    return list(new.values()), superseded


def check_room(memory: Memory, new_facts: int) -> None:
    """Checks that `new_facts` can be written beside those that are pending.

    Raises CapacityReached or FalseFiresReached.
    """
    _check_capacity(memory, new_facts)
    if new_facts:
        _check_false_fires(memory)


def _check_capacity(memory: Memory, new_facts: int) -> None:
    """Checks that the key occupancy stays within the memory's capacity once all pending and new facts are written.

    A fact is expected to take as much of the key space as those in force do on average. If none is in force, the
    memory's base model gives the estimate. Neurons take none of it.

    Args:
        new_facts: number of facts to be written beside those that are pending.

    Raises:
        CapacityReached: it would not; names how many facts still fit.
    """
    if memory.created is None or memory.created.method is Method.NEURON or not new_facts:
        return
    in_force = sum(bool(state.edits) for state in memory.facts.values())  # including counter-edits, which hold keys too
    each = memory.key_occupancy / in_force if in_force else _keys_per_fact(memory) / memory.created.key_width
    expected, limit = memory.key_occupancy + each * (len(memory.pending) + new_facts), memory.created.capacity
    if expected > limit:
        room = int((limit - memory.key_occupancy) / each) - len(memory.pending)
        raise CapacityReached(expected, limit, max(room, 0))


def _check_false_fires(memory: Memory, leaving: Collection[FactId] = ()) -> None:
    """Checks that the neurons that stay in force leave room for another one; `leaving` go with the new facts.

    Raises:
        FalseFiresReached: they respond in other text as often as the memory's policy allows.
    """
    total = false_fires(memory, leaving)
    if memory.created is not None and total and total >= memory.created.sleep.false_fires_limit:
        raise FalseFiresReached(total, memory.created.sleep.false_fires_limit)


def _keys_per_fact(memory: Memory) -> float:
    """Returns how many dimensions of the key space a fact is expected to take.

    The base model's profile comes first, then what was measured on it, then a default.
    """
    from_profile = memory.created.keys_per_fact if memory.created else 0.0
    measured = memory.statistics.keys_per_fact if memory.statistics else 0.0
    return from_profile or measured or KEYS_PER_FACT


def record_injection(memory: Memory, command: RecordInjection) -> tuple[Event, ...]:
    """Records an edit, its facts as injected, those they supersede as withdrawn, and failures. Raises StaleWork."""
    edit = command.edit
    facts = tuple(columns.fact for columns in edit.columns)
    if not still_owed(memory, Inject(facts=facts, weights=edit.weights_before, attempt=1)):
        raise StaleWork("the weights have changed or a fact is no longer pending")
    events: list[Event] = [edit]
    for columns in edit.columns:
        events.append(FactInjected(fact=columns.fact, edit=edit.edit, stage=0, scale=columns.scale))
        predecessor = memory.facts[columns.fact].predecessor
        if predecessor is not None and memory.facts[predecessor].in_weights:
            events.append(_withdrawn_by(memory, predecessor, edit))
    for failure in command.failures:
        events += record_failure(memory, failure)
    return tuple(events)


def _withdrawn_by(memory: Memory, fact: FactId, edit: EditComputed) -> FactWithdrawn:
    """Returns the withdrawal of `fact` by `edit`, which writes its successor."""
    return FactWithdrawn(
        fact=fact,
        edit=edit.edit,
        adapters=trained_on(memory, fact),
        weights_before=edit.weights_before,
        weights_after=edit.weights_after,
        key_occupancy=edit.key_occupancy,
        seconds=0.0,
    )


def record_failure(memory: Memory, command: RecordFailure) -> tuple[Event, ...]:
    """Records a failed piece of work; after the last attempt its fact is parked, or its sleep is rolled back.

    Raises StaleWork.
    """
    work = command.work
    facts: tuple[FactId, ...] = ()
    final = work.attempt >= MAX_ATTEMPTS or not command.retry
    may_park, consequences = True, tuple[Event, ...]()
    match work:
        case Inject():
            facts = tuple(fact for fact in work.facts if fact in memory.pending)
            if not facts:
                raise StaleWork("none of its facts is pending any more")
            if memory.sleep is not None:  # because rolling the sleep back must undo nothing but its own steps
                raise StaleWork("a sleep has begun")
            may_park = len(work.facts) == 1  # facts of a failed batch are tried again one by one
        case PrepareStatistics():
            if memory.statistics is not None:
                raise StaleWork("its statistics are prepared already")
            may_park = False  # retried without limit, because nothing can be written without statistics
        case Read() | EraseTexts():
            return conversation_failed(memory, command, work, final=final)
        case Purge():
            if not still_owed(memory, work):
                raise StaleWork("the memory is purged already")
            may_park = False  # retried without limit, because deleted words must not stay
        case Withdraw() | Erase():
            facts = (work.fact,)
            if not still_owed(memory, work):
                raise StaleWork("the fact has left the weights, or is erased already")
        case SleepStep():
            consequences = sleep.failed(memory, work, command.message, final=final)
    parked = may_park and final
    failed = WorkFailed(
        work=work.name,
        facts=facts,
        attempt=work.attempt,
        reason=command.reason,
        message=command.message,
        parked=parked,
    )
    return (failed, *consequences)
