"""Reads turns of conversations while other work goes on, so that what was learned is known soon after a reply."""

from __future__ import annotations

import threading
import time

import structlog

from core.decide.commands import CloseConversation, Command
from core.extraction.words import Parser
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.work import EraseTexts, Read, work_of_conversations
from service.app.reading import cause_of, erase_texts, read_turn
from service.app.repository import MemoryRepository
from store.clock import days_ago
from store.log.conversations import last_turns, spoken_in
from store.log.event_log import EventLog

IDLE_SECONDS = 0.5
EXPIRY_SECONDS = 3600.0  # from one look for texts that have been kept long enough to the next

log = structlog.get_logger()


class Reader:
    """Performs the work on conversations of all memories of one log, in a thread of its own inside its `with` block.

    It holds no lease, because a turn that was read twice is recorded once. What it fails at is left to the executor,
    which counts the attempts, and so is what was said up to position `after`, by default before it began.
    """

    def __init__(self, events: EventLog, states: MemoryRepository, parser: Parser, after: int | None = None) -> None:
        self._events, self._states, self._parser, self._after = events, states, parser, after
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def perform(self, memory: MemoryId, state: Memory, work: Read | EraseTexts) -> Command:
        """Does `work` and returns what to record."""
        if isinstance(work, Read):
            return read_turn(self._events, self._parser, memory, state, work)
        return erase_texts(self._events, self._states, memory, work)

    def expire(self) -> None:
        """Closes the conversations whose texts have been kept as long as their memories say."""
        for listed in self._events.listed():
            state = self._states.current(listed.memory)
            if state.created is None or not state.created.keep_texts or state.deleted:
                continue
            spoken, limit = last_turns(self._events, listed.memory), days_ago(state.created.keep_texts)
            for name, known in state.conversations.items():
                if not known.closed and spoken.get(known.key, limit) < limit:
                    close = CloseConversation(memory=listed.memory, conversation=name, facts=False, last=known.turns)
                    self._states.record(listed.memory, close)

    def _run(self) -> None:
        seen, expired = self._after, 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() - expired > EXPIRY_SECONDS or not expired:
                    self.expire()
                    expired = time.monotonic()
                if seen is None:
                    seen = self._events.position()
                if (position := self._events.wait(seen, IDLE_SECONDS)) > seen:
                    for memory in spoken_in(self._events, seen, position):
                        self._serve(memory)
                    seen = position
            except Exception as error:  # the database is away
                log.debug("reader.waits", error=type(error).__name__)
                self._stop.wait(1.0)

    def _serve(self, memory: MemoryId) -> None:
        """Does all work on the conversations of a memory, up to the first that fails."""
        try:
            state = self._states.current(memory)
            while not self._stop.is_set() and (work := work_of_conversations(state)) is not None:
                command = self.perform(memory, state, work)
                state = self._states.record(memory, command, cause_of(command))
        except Exception as error:
            log.debug("reader.failed", memory=memory, error=type(error).__name__)
