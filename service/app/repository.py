"""Folded states of memories, kept and advanced by what is new; and the one way in which a command is carried out."""

from __future__ import annotations

import threading
from collections import OrderedDict
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


class MemoryRepository:
    """States by memory. Blocking, and safe for any thread."""

    def __init__(self, log: EventLog, snapshots: Snapshots) -> None:
        self._log = log
        self._snapshots = snapshots
        self._kept: OrderedDict[MemoryId, Memory] = OrderedDict()  # least recently used first
        self._lock = threading.Lock()
        self._turns = tuple(threading.Lock() for _ in range(TURNS))

    def current(self, memory: MemoryId) -> Memory:
        """The newest state, that of a deleted memory included. Raises MemoryUnknown."""
        kept = self._kept.get(memory)
        state = advance(self._log, memory, kept) if kept else load_state(self._log, self._snapshots, memory)
        self._keep(memory, state)
        return state

    def at(self, memory: MemoryId, at_version: int | None, min_version: int | None = None) -> Memory:
        """The state at that version, or the newest; its base is where it is now in either case.

        Raises:
            MemoryUnknown: there is no such memory.
            MemoryGone: it was deleted, or that version is of a deleted memory that had its name.
            VersionUnknown: it has not reached that version, or that one.
        """
        current = self.current(memory)
        if current.deleted or (at_version is not None and 0 < at_version <= current.begun):
            raise MemoryGone(current.deleted or current.begun)
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
        """Decides on `command`, appends what it causes, and returns the state that follows.

        Calls for one memory take turns in this process. When another process was faster, and no version was expected,
        the command is decided again on the new state.

        Args:
            needs: facts that must have their data keys still when the events are recorded.

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
                if recorded[0].version != before.version + 1:  # a fork, which begins as its parent was
                    return self.current(memory)
                after = fold((event.event for event in recorded), onto=before)
                self._keep(memory, after)
                return after

    def current_or_nothing(self, memory: MemoryId) -> Memory:
        """The newest state; that of a memory before its first event where there is none of that name."""
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


def _based(then: Memory, now: Memory) -> Memory:
    """The state `then`, whose base is found where it is now."""
    if then.created is None or now.created is None or then.created.base == now.created.base:
        return then
    return replace(then, created=replace(then.created, base=now.created.base))
