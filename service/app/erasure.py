"""Erasing a fact that has left the weights: its data key is thrown away, what held its words in clear is removed."""

from __future__ import annotations

from core.decide.commands import RecordErasure, RetractFact
from core.errors.base import ArtifactMissing, NotReady
from core.errors.history import FactHeld
from core.events import Cause
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

RETRIES = 100  # of an append that lost a race
CAUSE = Cause(actor="executor")


def erase_fact(
    log: EventLog, artifacts: Artifacts, snapshots: Snapshots, states: MemoryRepository, memory: MemoryId, work: Erase
) -> RecordErasure:
    """Destroys the key and says what remains. Killed anywhere, it is done again and completes.

    The memories that share the fact lose its words, too; each of them owes an erasure of its own from here on.

    Raises:
        FactHeld: another memory that shares the fact has it in its weights, or waits to write it.
        NotReady: the key could not be wiped from the database yet, or a fork was made meanwhile.
    """
    fact, begun = work.fact, log.position()
    seen: dict[MemoryId, int] = {}  # version at which a relative neither holds the fact nor fails to owe its erasure
    unaware: list[tuple[MemoryId, Memory]] = []
    for other in log.relatives(memory):  # each is read once: there may be thousands
        there = states.current(other)
        _check_not_held(other, there, fact)
        seen[other] = there.version
        if fact in there.facts and not _owes(there, fact):
            unaware.append((other, there))
    remains = _remains(log, artifacts, memory, fact)
    for other, there in unaware:
        after = _take_back(
            states, other, there, fact
        )  # before the key is gone, without which nothing is recorded of it
        _check_not_held(other, after, fact)
        seen[other] = after.version
    throw_key_away(log.engine, fact, lambda: _check_since(log, states, memory, fact, begun, seen))
    for other in (memory, *log.relatives(memory)):
        snapshots.remove_all(other)
    return RecordErasure(work=work, remains=remains)


def check_not_held(log: EventLog, states: MemoryRepository, memory: MemoryId, fact: FactId) -> None:
    """Raises FactHeld while another memory has `fact` in its weights, or waits to write it. Blocking."""
    for other in log.relatives(memory):
        _check_not_held(other, states.current(other), fact)


def _check_not_held(other: MemoryId, there: Memory, fact: FactId) -> None:
    if fact in there.facts:
        state = there.facts[fact]
        if state.in_weights or state.status is Status.PENDING:
            raise FactHeld(fact, other)


def _check_since(
    log: EventLog, states: MemoryRepository, memory: MemoryId, fact: FactId, begun: int, seen: dict[MemoryId, int]
) -> None:
    """Checks the relatives of `memory` that moved past what was `seen` of them, or were forked, since `begun`.

    Nobody can append meanwhile, so only those are read.

    Raises:
        FactHeld: one has `fact` in its weights now, or waits to write it.
        NotReady: one does not owe the erasure.
    """
    moved = log.heads(after_position=begun)
    for other in log.relatives(memory) if moved.keys() - {memory} else ():
        if other in moved and moved[other] != seen.get(other):
            there = states.current(other)
            _check_not_held(other, there, fact)
            if fact in there.facts and not _owes(there, fact):
                raise NotReady(f"memory {other!r} was forked while fact {fact} was being erased; it is tried again")


def _owes(there: Memory, fact: FactId) -> bool:
    """Whether that memory has erased `fact` or is yet to: an erasure that it gave up it owes no longer.

    Where its words are gone, because the memory was forked without the key, nothing can be recorded of it any more.
    """
    state = there.facts[fact]
    return state.erased or fact in there.pending_erasure or not state.fact.subject


def _take_back(states: MemoryRepository, memory: MemoryId, there: Memory, fact: FactId) -> Memory:
    """Lets `memory`, which will lose the words of `fact` to an erasure elsewhere, owe the same; its state then."""
    request = f"erased-{fact}-{there.facts[fact].failures}"  # one for all attempts, until it gave up itself
    command = RetractFact(
        memory=memory, fact=fact, reason="", erase=True, request=request, request_digest=Digest(request)
    )
    return states.execute(memory, lambda _: command, CAUSE, retries=RETRIES)


def _remains(log: EventLog, artifacts: Artifacts, memory: MemoryId, fact: FactId) -> tuple[Digest, ...]:
    """Deltas, in force or not, that may hold a trace of `fact` and do not go with its key."""
    found: dict[Digest, None] = {}
    trained: set[AdapterId] = set()
    for recorded in log.iterate(memory, until_version=log.head(memory)):
        match recorded.event:
            case AdapterTrained() as event if fact in event.facts or fact in event.rehearsed:
                trained.add(event.adapter)
                found[event.delta] = None
            case AdaptersCompacted() as event if not trained.isdisjoint(event.replaced):
                trained.add(event.adapter)
                found[event.delta] = None
            case EditComputed() as event if any(columns.fact == fact for columns in event.columns):
                if not _is_sealed(artifacts, event.delta, fact):
                    found[event.delta] = None
            case _:
                pass
    return tuple(found)


def _is_sealed(artifacts: Artifacts, delta: Digest, fact: FactId) -> bool:
    """Whether the columns of `fact` in it go with its key, or are not there at all."""
    try:
        return any(one.fact == fact for one in extents(artifacts.get(delta)))
    except ArtifactMissing:
        return True
