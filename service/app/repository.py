"""The repository of memories: their folded states, and the one way to execute a command on them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from core.decide import decide
from core.decide.commands import Command
from core.errors.base import Conflict, MemoryGone, MemoryUnknown, VersionUnknown
from core.events import Cause
from core.evolve import fold
from core.ids import FactId, MemoryId
from core.state.memory import NOTHING, Memory
from store.clock import next_event_id
from store.log.event_log import EventLog
from store.log.rows import NewEvent
from store.state.loading import advance, load_state
from store.state.snapshots import Snapshots

KEPT = 64  # memories
TURNS = 256  # locks that memories share by hash
RACES = 100  # with clients, that recording what an executor did may lose
EXECUTOR = Cause(actor="executor")


class Turns:
    """A lock that threads get in the order in which they ask for it, so that none waits while others come again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # of the next two
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        try:
            called.acquire()
        except BaseException:  # this thread was interrupted
            with self._guard:
                still_waits = called in self._waiting
                if still_waits:
                    self._waiting.remove(called)
            if not still_waits:
                self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class MemoryRepository:
    """Keeps folded states, advances them by new events, and executes commands. Blocking, and safe for any thread."""

    def __init__(self, log: EventLog, snapshots: Snapshots) -> None:
        self._log = log
        self._snapshots = snapshots
        self._kept: OrderedDict[MemoryId, Memory] = OrderedDict()  # least recently used first
        self._lock = threading.Lock()
        self._turns = tuple(Turns() for _ in range(TURNS))

    def current(self, memory: MemoryId) -> Memory:
        """Returns the newest state, also that of a deleted memory. Raises MemoryUnknown."""
        kept = self._kept.get(memory)
        state = advance(self._log, memory, kept) if kept else load_state(self._log, self._snapshots, memory)
        self._keep(memory, state)
        return state

    def at(self, memory: MemoryId, at_version: int | None, min_version: int | None = None) -> Memory:
        """Returns the state at a version, by default the newest, with the name that its base model has now.

        Raises:
            MemoryUnknown: there is no such memory.
            MemoryGone: it was deleted, or that version is of a deleted memory that had its name.
            VersionUnknown: it never had that version, or has not reached `min_version`.
        """
        current = self.current(memory)
        check_not_gone(current, at_version)
        if min_version is not None and min_version > current.version:
            raise VersionUnknown(memory, min_version, current.version)
        if at_version is None or at_version == current.version:
            return current
        return _based(load_state(self._log, self._snapshots, memory, at_version), current)

    def execute(
        self,
        memory: MemoryId,
        command: Callable[[Memory], Command],
        cause: Cause,
        expected: int | None = None,
        retries: int = 0,
        needs: Sequence[FactId] = (),
    ) -> Memory:
        """Decides on a command, appends the events that it causes, and returns the state after them.

        Calls for one memory take turns in this process. Where another process was faster, and no version was expected,
        the command is decided again on the new state.

        Args:
            command: returns the command for the state it is given.
            retries: number of races with other processes that may be lost.
            needs: facts whose data keys must still exist when the events are recorded.

        Raises:
            Refused: the command is not allowed.
            Conflict: the memory is at another version than `expected`, or races were lost too often.
            WordsErased: one of `needs` was erased.
        """
        with self._turns[hash(memory) % TURNS]:
            while True:
                before = self.current_or_nothing(memory)
                events = decide(before, command(before))
                if not events:
                    return before
                if expected is not None and expected != before.version:
                    raise Conflict(memory, expected, before.version)
                news = [NewEvent(id=next_event_id(), event=event, cause=cause) for event in events]
                try:
                    recorded = self._log.append(memory, news, before.version, needs)
                except Conflict:
                    if expected is not None or not retries:
                        raise
                    retries -= 1
                    continue
                if recorded[0].version != before.version + 1:  # a fork, which begins with the state of its parent
                    return self.current(memory)
                after = fold((event.event for event in recorded), onto=before)
                self._keep(memory, after)
                return after

    def record(self, memory: MemoryId, command: Command, cause: Cause = EXECUTOR) -> Memory:
        """Appends the events of work that is done, however many races with clients are lost; returns the state after.

        Raises as `execute` does.
        """
        return self.execute(memory, lambda _: command, cause, retries=RACES)

    def preview(
        self, memory: MemoryId, command: Callable[[Memory], Command], expected: int | None = None
    ) -> tuple[Memory, Memory]:
        """Returns the newest state and that which a command would leave, records nothing. Raises as `execute` does."""
        before = self.current_or_nothing(memory)
        events = decide(before, command(before))
        if expected is not None and expected != before.version:
            raise Conflict(memory, expected, before.version)
        return before, fold(events, onto=before)

    def current_or_nothing(self, memory: MemoryId) -> Memory:
        """Returns the newest state, or `NOTHING` where there is no memory of that name."""
        try:
            return self.current(memory)
        except MemoryUnknown:
            return NOTHING

    def _keep(self, memory: MemoryId, state: Memory) -> None:
        with self._lock:
            kept = self._kept.get(memory)
            if kept is None or kept.version <= state.version:
                self._kept[memory] = state
            self._kept.move_to_end(memory)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def check_not_gone(state: Memory, since: int | None) -> None:
    """Raises MemoryGone where the memory is deleted, or version `since` is of a deleted memory that had its name."""
    if state.deleted or (since is not None and 0 < since <= state.begun):
        raise MemoryGone(state.deleted or state.begun)


def _based(then: Memory, now: Memory) -> Memory:
    """Returns the state `then` with the base model of the state `now`, which may have another name."""
    if then.created is None or now.created is None or then.created.base == now.created.base:
        return then
    return replace(then, created=replace(then.created, base=now.created.base))
