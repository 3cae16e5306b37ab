"""Erases a fact that has left the weights: destroys its data key, and removes what holds its words in clear."""

from __future__ import annotations

from collections.abc import Callable

from core.decide.commands import RecordErasure, RetractFact
from core.errors.base import ArtifactMissing, NotReady
from core.errors.history import FactHeld
from core.events.facts import EditComputed
from core.events.history import AdaptersCompacted
from core.events.sleep import AdapterTrained
from core.ids import AdapterId, Digest, FactId, MemoryId
from core.state.memory import Memory, Status
from core.state.work import Erase
from service.app.repository import MemoryRepository
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.sealing.delta_columns import extents
from store.sealing.destroy_key import throw_key_away
from store.state.snapshots import Snapshots


def erase_fact(
    log: EventLog, artifacts: Artifacts, snapshots: Snapshots, states: MemoryRepository, memory: MemoryId, work: Erase
) -> RecordErasure:
    """Destroys the data key of a fact, and returns what to record. Idempotent, so that a killed erasure is done again.

    The memories that share the fact lose its words too; each of them owes an erasure of its own from then on.

    Errors do not name the other memories, because they are recorded, for whoever may read this one alone.

    Raises:
        FactHeld: another memory that shares the fact has it in its weights, or is about to write it.
        NotReady: the key could not be wiped from the database yet, or a fork was made meanwhile.
    """
    fact, begun = work.fact, log.position()
    seen: dict[MemoryId, int] = {}  # version at which a relative does not hold the fact and owes its erasure
    unaware: list[tuple[MemoryId, Memory]] = []
    for relative in log.relatives(memory):  # each is read once, because there may be thousands
        state = states.current(relative)
        _check_not_held(state, fact)
        seen[relative] = state.version
        if fact in state.facts and not _owes(state, fact):
            unaware.append((relative, state))
    remains = _remains(log, artifacts, memory, fact)
    for relative, state in unaware:  # while the key exists, because nothing is recorded of a fact without one
        after = _retract(states, relative, state, fact)
        _check_not_held(after, fact)
        seen[relative] = after.version
    throw_key_away(log.engine, fact, lambda: _check_since(log, states, memory, fact, begun, seen))
    for holder in (memory, *log.relatives(memory)):
        snapshots.remove_all(holder)
    return RecordErasure(work=work, remains=remains)


def check_not_held(
    log: EventLog, states: MemoryRepository, memory: MemoryId, fact: FactId, may_read: Callable[[MemoryId], bool]
) -> None:
    """Raises FactHeld while another memory has `fact` in its weights, or is about to write it. Blocking.

    Args:
        may_read: whether the caller may read a memory, and so be told its name.
    """
    for relative in log.relatives(memory):
        _check_not_held(states.current(relative), fact, relative if may_read(relative) else "")


def _check_not_held(state: Memory, fact: FactId, name: str = "") -> None:
    held = state.facts.get(fact)
    if held is not None and (held.in_weights or held.status is Status.PENDING):
        raise FactHeld(fact, name)


def _check_since(
    log: EventLog, states: MemoryRepository, memory: MemoryId, fact: FactId, begun: int, seen: dict[MemoryId, int]
) -> None:
    """Checks the relatives of `memory` that have new events, or were forked, since position `begun`.

    Args:
        seen: versions of relatives that were checked before. No other is read, because no process can append meanwhile.

    Raises:
        FactHeld: a relative has `fact` in its weights now, or is about to write it.
        NotReady: a relative does not owe the erasure.
    """
    moved = log.heads(after_position=begun)
    for relative in log.relatives(memory) if moved.keys() - {memory} else ():
        if relative in moved and moved[relative] != seen.get(relative):
            state = states.current(relative)
            _check_not_held(state, fact)
            if fact in state.facts and not _owes(state, fact):
                raise NotReady(f"the memory was forked while fact {fact} was being erased; it is tried again")


def _owes(memory: Memory, fact: FactId) -> bool:
    """Returns whether `memory` has erased `fact` or still has to; false where it gave the erasure up.

    It is true as well where the words are gone, because a memory that was forked without the key can record nothing of
    them.
    """
    state = memory.facts[fact]
    return state.erased or fact in memory.pending_erasure or not state.fact.subject


def _retract(states: MemoryRepository, memory: MemoryId, state: Memory, fact: FactId) -> Memory:
    """Retracts `fact` in a memory that will lose its words, so that it owes the erasure; returns its new state."""
    request = f"erased-{fact}-{state.facts[fact].failures}"  # equal for all attempts, until that memory gives up
    command = RetractFact(
        memory=memory, fact=fact, reason="", erase=True, request=request, request_digest=Digest(request)
    )
    return states.record(memory, command)


def _remains(log: EventLog, artifacts: Artifacts, memory: MemoryId, fact: FactId) -> tuple[Digest, ...]:
    """Returns deltas, in force or not, that may hold a trace of `fact` and are not sealed under its key."""
    remains: dict[Digest, None] = {}
    trained: set[AdapterId] = set()
    for recorded in log.iterate(memory, until_version=log.head(memory)):
        match recorded.event:
            case AdapterTrained() as event if fact in event.facts or fact in event.rehearsed:
                if not (event.columns and _is_sealed(artifacts, event.delta, fact)):
                    trained.add(event.adapter)
                    remains[event.delta] = None
            case AdaptersCompacted() as event if not trained.isdisjoint(event.replaced):
                trained.add(event.adapter)
                remains[event.delta] = None
            case EditComputed() as event if any(columns.fact == fact for columns in event.columns):
                if not _is_sealed(artifacts, event.delta, fact):
                    remains[event.delta] = None
            case _:
                pass
    return tuple(remains)


def _is_sealed(artifacts: Artifacts, delta: Digest, fact: FactId) -> bool:
    """Returns whether the columns of `fact` in `delta` are sealed under its key, or the delta is missing."""
    try:
        return any(extent.fact == fact for extent in extents(artifacts.get(delta)))
    except ArtifactMissing:
        return True
