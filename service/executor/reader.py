"""Reads turns of conversations while other work goes on, so that what was learned is known soon after a reply."""

from __future__ import annotations

import threading

import structlog

from core.decide.commands import Command
from core.errors.base import Conflict, ParserUnavailable, StaleWork
from core.extraction.words import Parser
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.work import EraseTexts, Read, work_of_conversations
from service.app.reading import cause_of, erase_texts, read_turn
from service.app.repository import MemoryRepository
from store.log.event_log import EventLog
from store.log.listing import Listed

RETRIES = 100  # of an append that lost a race to clients
IDLE_SECONDS = 0.5

log = structlog.get_logger()


class Reader:
    """Performs the work on conversations of all memories of one log, in a thread of its own inside its `with` block.

    It holds no lease, because a turn that was read twice is recorded once. Where it fails, the turn is left to the
    executor, which counts the attempts.
    """

    def __init__(self, events: EventLog, states: MemoryRepository, parser: Parser) -> None:
        self._events, self._states, self._parser = events, states, parser
        self._looked: dict[MemoryId, int] = {}  # version at which nothing was left to do here
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

    def _record(self, memory: MemoryId, command: Command) -> Memory:
        return self._states.execute(memory, lambda _: command, cause_of(command), retries=RETRIES)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                position = self._events.position()
                for listed in self._events.listed():
                    self._serve(listed)
                self._events.wait(position, IDLE_SECONDS)
            except Exception as error:  # the database is away
                log.debug("reader.waits", error=type(error).__name__)
                self._stop.wait(1.0)

    def _serve(self, listed: Listed) -> None:
        """Does all work on the conversations of a memory, up to the first that fails."""
        memory = listed.memory
        if listed.deleted or self._looked.get(memory) == listed.version:
            return
        try:
            state = self._states.current(memory)
            while not self._stop.is_set() and (work := work_of_conversations(state)) is not None:
                command = self.perform(memory, state, work)
                state = self._record(memory, command)
        except (StaleWork, Conflict):
            return
        except ParserUnavailable as error:
            log.debug("reader.waits", memory=memory, error=str(error))
        except Exception as error:
            log.debug("reader.failed", memory=memory, error=type(error).__name__)
        self._looked[memory] = listed.version
