"""`decide`: hands each command to the function that returns its events or refuses it. Pure."""

from __future__ import annotations

from typing import assert_never

from core.decide import conversation, deletion, facts, history, reading, sleep
from core.decide.commands import (
    AddFacts,
    CancelSleep,
    CloseConversation,
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
    RecordReading,
    RecordRefresh,
    RecordReply,
    RecordRescale,
    RecordStatistics,
    RecordTextsErased,
    RecordTraining,
    RecordWithdrawal,
    RetractFact,
    RetryFacts,
    Say,
    StartSleep,
    SupersedeFact,
)
from core.decide.memory import create_memory, record_statistics
from core.events import Event
from core.state.memory import Memory


def decide(memory: Memory, command: Command) -> tuple[Event, ...]:
    """Returns the events that `command` causes, in order; none if it changes nothing.

    Raises:
        Refused: the command is not allowed in this state; one subclass per reason (see `core/errors/`).
    """
    deletion.check_not_deleted(memory, command)
    match command:
        case CreateMemory():
            return create_memory(memory, command)
        case AddFacts():
            return facts.add_facts(memory, command)
        case RecordStatistics():
            return record_statistics(memory, command)
        case RecordInjection():
            return facts.record_injection(memory, command)
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
            return history.mark_checkpoint(memory, command)
        case ForkMemory():
            return history.fork(memory, command)
        case SupersedeFact():
            return facts.supersede(memory, command)
        case RetractFact():
            return history.retract(memory, command)
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
        case Say():
            return conversation.say(memory, command)
        case RecordReply():
            return conversation.record_reply(memory, command)
        case RecordReading():
            return reading.record_reading(memory, command)
        case CloseConversation():
            return conversation.close(memory, command)
        case RecordTextsErased():
            return conversation.record_texts_erased(memory, command)
        case _:
            assert_never(command)
