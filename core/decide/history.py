"""`decide` for checkpoints and forks, and for facts and adapters that leave the weights. Pure; see `core/decide/`."""

from __future__ import annotations

from core.decide.commands import (
    ForkMemory,
    MarkCheckpoint,
    RebaseMemory,
    RecordCompaction,
    RecordErasure,
    RecordWithdrawal,
    RetractFact,
    SupersedeFact,
)
from core.decide.idempotency import is_new
from core.errors.archive import MemoryTaken
from core.errors.base import FactUnknown, InvalidField, MemoryUnknown, SleepInProgress, StaleWork
from core.errors.history import AsleepThen, CheckpointTaken, HalfRecorded
from core.errors.history import FactRetracted as RetractedAlready
from core.events import Event
from core.events.facts import FactAdded
from core.events.history import CheckpointMarked, FactErased, FactRetracted, FactSuperseded, MemoryForked, MemoryRebased
from core.ids import CHECKPOINT_NAME, FactId, MemoryId
from core.state.memory import FactState, Memory, Status, statement_key
from core.state.version import check_version
from core.state.work import still_owed
from core.texts import sentence

MAX_REASON = 1000  # characters


def mark_checkpoint(memory: Memory, command: MarkCheckpoint) -> tuple[Event, ...]:
    """Names a version; does nothing if it has that name. Raises InvalidField, VersionUnknown or CheckpointTaken."""
    if not CHECKPOINT_NAME.fullmatch(command.name):
        raise InvalidField(
            "name", "must be 1 to 63 letters, digits, dots, hyphens or underscores, starting with a letter or digit"
        )
    if command.name.isdecimal():
        raise InvalidField("name", "is a number and would be read as a version; begin it with a letter")
    check_version(command.memory, command.version, memory.version)
    if (known := memory.checkpoints.get(command.name)) is not None:
        if known.version != command.version:
            raise CheckpointTaken(command.memory, command.name, known.version)
        return ()
    return (CheckpointMarked(name=command.name, version=command.version, weights=command.weights),)


def fork(memory: Memory, command: ForkMemory) -> tuple[Event, ...]:
    """Returns the first event of the new memory; `memory` is the state of that one, not of its parent.

    Raises MemoryTaken, AsleepThen or HalfRecorded.
    """
    at = command.at
    if memory.version:
        raise MemoryTaken(command.memory)
    if at.sleep is not None:
        raise AsleepThen(command.parent, at.version, at.sleep.began)
    if at.version not in command.whole:
        raise HalfRecorded(command.parent, at.version, *command.whole)
    return (MemoryForked(parent=command.parent, version=at.version, hash=command.hash, weights=at.weights),)


def rebase(memory: Memory, command: RebaseMemory) -> tuple[Event, ...]:
    """Records a new name for the base model's files; does nothing if it is the current one. Raises MemoryUnknown."""
    if memory.created is None:
        raise MemoryUnknown(command.memory)
    if (memory.created.base.name, memory.created.base.revision) == (command.name, command.revision):
        return ()
    return (MemoryRebased(name=command.name, revision=command.revision),)


def supersede(memory: Memory, command: SupersedeFact) -> tuple[Event, ...]:
    """Adds the new fact and supersedes the old one; does not check the words of the new one.

    Raises FactUnknown, RetractedAlready or InvalidField.
    """
    old = _live_fact(memory, command.memory, command.fact)
    new = command.new.fact
    if sentence(new.object) == sentence(old.fact.object):
        raise InvalidField("object", f"is what fact {command.fact} says already")
    return (
        FactAdded(
            fact=new.id,
            statement=new,
            source=command.new.source,
            request=command.request,
            request_digest=command.request_digest,
            origin=command.new.origin,
        ),
        FactSuperseded(fact=command.fact, by=new.id),
    )


def retract(memory: Memory, command: RetractFact) -> tuple[Event, ...]:
    """Retracts a fact. One that was retracted before may be erased, or withdrawn again if its withdrawal failed.

    Raises FactUnknown, RetractedAlready, RequestReused or InvalidField.
    """
    if not is_new(memory, command):
        return ()
    if len(command.reason) > MAX_REASON:
        raise InvalidField("reason", f"has {len(command.reason)} characters, at most {MAX_REASON} are allowed")
    state = memory.facts.get(command.fact)
    if state is None:
        raise FactUnknown(command.memory, command.fact)
    withdrawal_failed = state.in_weights and command.fact not in memory.pending_withdrawal
    erasing = command.erase and not state.erased and command.fact not in memory.pending_erasure
    if state.retracted and not withdrawal_failed and not erasing:
        raise RetractedAlready(command.memory, command.fact, state.retracted, _in_place_of(memory, state))
    return (
        FactRetracted(
            fact=command.fact,
            reason=command.reason,
            erase=command.erase,
            request=command.request,
            request_digest=command.request_digest,
        ),
    )


def record_withdrawal(memory: Memory, command: RecordWithdrawal) -> tuple[Event, ...]:
    """Records that a fact has left the weights, with its counter-edit if it needed one. Raises StaleWork."""
    if not still_owed(memory, command.work) or command.withdrawn.weights_before != command.work.weights:
        raise StaleWork("the weights have changed or the fact has left them")
    return (command.withdrawn,) if command.edit is None else (command.edit, command.withdrawn)


def record_erasure(memory: Memory, command: RecordErasure) -> tuple[Event, ...]:
    """Records that the data key of a fact is destroyed. Raises StaleWork."""
    if not still_owed(memory, command.work):
        raise StaleWork("the fact is erased already, or must leave the weights first")
    return (FactErased(fact=command.work.fact, remains=command.remains),)


def record_compaction(memory: Memory, command: RecordCompaction) -> tuple[Event, ...]:
    """Replaces several adapters with one of fewer columns.

    Raises:
        SleepInProgress: a sleep is in progress; rolling it back must undo nothing but its own steps.
        StaleWork: the weights have changed since.
    """
    if memory.sleep is not None:
        raise SleepInProgress(memory.sleep.id, memory.sleep.started.kind)
    compacted = command.compacted
    if compacted.weights_before != memory.weights or not memory.adapters.keys() >= set(compacted.replaced):
        raise StaleWork("the weights have changed")
    return (compacted,)


def _live_fact(memory: Memory, name: MemoryId, fact: FactId) -> FactState:
    """Returns the fact, which must not be retracted. Raises FactUnknown or RetractedAlready."""
    state = memory.facts.get(fact)
    if state is None:
        raise FactUnknown(name, fact)
    if state.retracted or state.status is Status.WITHDRAWN:
        raise RetractedAlready(name, fact, state.retracted, _in_place_of(memory, state))
    return state


def _in_place_of(memory: Memory, state: FactState) -> FactId | None:
    """Returns the live fact about what `state` was about: its last successor, or one added since."""
    while state.successor is not None:
        state = memory.facts[state.successor]
    if not state.retracted:
        return state.fact.id
    return (
        memory.by_statement.get(statement_key(state.fact.subject, state.fact.relation)) if state.fact.subject else None
    )
