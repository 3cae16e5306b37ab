"""`decide`: which events a command causes, or why it is refused. Pure; changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from core.decide import deletion, facts, history, sleep
from core.decide.commands import (
    AddFacts,
    CancelSleep,
    Command,
    CreateMemory,
    DeleteMemory,
    ForkMemory,
    MarkCheckpoint,
    RebaseMemory,
    RecordAudit,
    RecordCompaction,
    RecordEnd,
    RecordErasure,
    RecordFailure,
    RecordInjection,
    RecordPurge,
    RecordRefresh,
    RecordRescale,
    RecordStatistics,
    RecordTraining,
    RecordWithdrawal,
    RetractFact,
    RetryFacts,
    StartSleep,
    SupersedeFact,
)
from core.decide.idempotency import is_new
from core.errors.base import MemoryExists, StaleWork
from core.events import Event
from core.events.memory import MemoryCreated
from core.state.memory import Memory


def decide(memory: Memory, command: Command) -> tuple[Event, ...]:
    """Events that `command` causes, in order; none when it changes nothing.

    Raises:
        Refused: one subclass per refusal (`core/errors/base.py`).
    """
    deletion.check_not_deleted(memory, command)
    match command:
        case CreateMemory():
            return _create(memory, command)
        case AddFacts():
            return facts.add_facts(memory, command)
        case RecordStatistics():
            if memory.statistics is not None:
                raise StaleWork("its statistics are prepared already")
            return (command.prepared,)
        case RecordInjection():
            return facts.record_injection(memory, command.edit)
        case RecordFailure():
            return facts.record_failure(memory, command)
        case StartSleep():
            return sleep.start(memory, command)
        case CancelSleep():
            return sleep.cancel(memory, command)
        case RecordAudit():
            return sleep.record_audit(memory, command)
        case RecordRefresh():
            return sleep.record_refresh(memory, command)
        case RecordTraining():
            return sleep.record_training(memory, command)
        case RecordRescale():
            return sleep.record_rescale(memory, command)
        case RecordEnd():
            return sleep.record_end(memory, command)
        case MarkCheckpoint():
            return history.mark(memory, command)
        case ForkMemory():
            return history.fork(memory, command)
        case SupersedeFact():
            return facts.supersede(memory, command)
        case RetractFact():
            return history.retract(memory, command) if is_new(memory, command) else ()
        case RetryFacts():
            return facts.retry_facts(memory, command)
        case RecordWithdrawal():
            return history.record_withdrawal(memory, command)
        case RecordErasure():
            return history.record_erasure(memory, command)
        case RecordCompaction():
            return history.record_compaction(memory, command)
        case RebaseMemory():
            return history.rebase(memory, command)
        case DeleteMemory():
            return deletion.delete(memory, command)
        case RecordPurge():
            return deletion.record_purge(memory, command)
        case _:
            assert_never(command)


def _create(memory: Memory, command: CreateMemory) -> tuple[Event, ...]:
    if memory.created is None or memory.purged:
        return (command.created,)
    if memory.created == _as_recorded_then(command.created, memory.created):
        return ()
    raise MemoryExists(command.memory)


def _as_recorded_then(new: MemoryCreated, old: MemoryCreated) -> MemoryCreated:
    """`new` by the rules by which `old` was recorded: what those did not know does not make it another memory."""
    if new.base.digest_rule == old.base.digest_rule:
        return new
    base = replace(new.base, digest=old.base.digest, digest_rule=old.base.digest_rule)
    return replace(new, base=base, keys_per_fact=old.keys_per_fact)
