"""Forks: makes a memory that begins as another memory was, once it is sure that its weights can be built."""

from __future__ import annotations

from core.decide import decide
from core.decide.commands import ForkMemory
from core.errors.history import WordsErased
from core.events import Cause
from core.events.appends import whole_around
from core.ids import Digest, MemoryId
from core.moments import Moment
from core.state.memory import Memory, needed
from core.state.plan import plan
from service.app.moments import state_at
from service.app.repository import MemoryRepository
from service.app.store import Store

SPAN = 1024  # events in one append, at most: 256 facts added, injected, and the facts they replace withdrawn


def fork(
    store: Store,
    states: MemoryRepository,
    memory: MemoryId,
    parent: MemoryId,
    moment: Moment,
    cause: Cause,
    retries: int,
) -> Memory:
    """Makes `memory`, which begins as `parent` was at `moment`, and returns its state. Blocking.

    Raises:
        MemoryUnknown, VersionUnknown, CheckpointUnknown, MomentUnknown: there was no such moment.
        MemoryTaken, AsleepThen, HalfRecorded.
        WordsErased: it needs a fact that was erased since.
        ArtifactMissing, ArtifactCorrupt: its weights cannot be built.
    """
    command = prepare(store, states, memory, parent, moment)
    check_whole(store, command)
    return states.execute(memory, lambda _: command, cause, retries=retries, needs=needed(command.at))


def prepare(store: Store, states: MemoryRepository, memory: MemoryId, parent: MemoryId, moment: Moment) -> ForkMemory:
    """Returns the command. Raises as `fork` does, but does not check what the fork needs."""
    at = state_at(store.log, states, parent, moment)
    first = max(at.version - SPAN, 0)
    around = store.log.read(memory=parent, after_version=first, limit=2 * SPAN)
    before, after = whole_around([recorded.event for recorded in around], at.version - first - 1)
    command = ForkMemory(
        memory=memory,
        parent=parent,
        at=at,
        hash=around[at.version - first - 1].hash,
        whole=(around[before].version, around[after].version),
    )
    decide(states.current_or_nothing(memory), command)
    return command


def check_whole(store: Store, command: ForkMemory) -> None:
    """Checks that everything the fork needs exists: data keys of its facts, and intact artifacts.

    Raises:
        WordsErased, ArtifactMissing, ArtifactCorrupt: something does not.
    """
    for fact, key in store.log.keyring.keys(needed(command.at)).items():
        if key is None:
            raise WordsErased(fact)
    at = command.at
    statistics = at.statistics.artifact if at.statistics else Digest("")
    for artifact in filter(None, dict.fromkeys((at.reference_text, statistics, *plan(at).deltas))):
        store.artifacts.get(artifact)
