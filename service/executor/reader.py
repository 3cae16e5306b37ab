"""Reads turns of conversations while other work goes on, so that what was learned is known soon after a reply."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.decide.commands import CloseConversation, Command
from core.extraction.words import Parser
from core.ids import ConversationKey, MemoryId
from core.state.memory import Memory
from core.state.work import EraseTexts, Read, work_of_conversations
from service.app.reading import cause_of, erase_texts, read_turn
from service.app.repository import MemoryRepository
from store.clock import days_ago
from store.log.conversations import days_kept, last_turns, spoken_in
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
        self._events.wake()
        if self._thread is not None:
            self._thread.join()

    def perform(self, memory: MemoryId, state: Memory, work: Read | EraseTexts) -> Command:
        """Does `work` and returns what to record."""
        if isinstance(work, Read):
            return read_turn(self._events, self._parser, memory, state, work)
        return erase_texts(self._events, self._states, memory, work)

    def expire(self) -> None:
        """Closes the conversations whose texts have been kept as long as their memories say.

        The log is asked which these are, so that no other memory is folded. An error concerns its memory alone.

        Raises:
            SQLAlchemyError: the database is away, for this memory and for all.
        """
        days = days_kept(self._events)
        spoken: dict[MemoryId, dict[ConversationKey, str]] = {}
        for key, turn in last_turns(self._events).items() if days else ():
            spoken.setdefault(turn.memory, {})[key] = turn.at
        for memory, last in spoken.items():
            try:
                keep = days.get(self._events.ancestry(memory)[0].memory, 0)
                limit = days_ago(keep) if keep else ""
                if old := {key: at for key, at in last.items() if at < limit}:
                    self._close(memory, old)
            except SQLAlchemyError:
                raise
            except Exception as error:
                log.warning("reader.expiry_failed", memory=memory, error=type(error).__name__)

    def _close(self, memory: MemoryId, old: Mapping[ConversationKey, str]) -> None:
        """Closes the `old` conversations, which `memory` and its relatives have, by when they last went on in any.

        Each is closed in one memory; those that share it follow when its texts are erased. It stays open while one of
        them has a turn of it to read.
        """
        closing: dict[ConversationKey, CloseConversation] = {}
        unread: set[ConversationKey] = set()
        for name in (memory, *self._events.relatives(memory)):
            state = self._states.current(name)
            if state.created is None or not state.created.keep_texts or state.deleted:
                continue
            limit = days_ago(state.created.keep_texts)
            unread |= {state.conversations[turn.conversation].key for turn in state.unread}
            for conversation, known in state.conversations.items():
                if not known.closed and old.get(known.key, limit) < limit:
                    close = CloseConversation(memory=name, conversation=conversation, facts=False, last=known.turns)
                    closing[known.key] = close
        for key, close in closing.items():
            if key not in unread:
                self._states.record(close.memory, close)

    def _run(self) -> None:
        seen, expired = self._after, -EXPIRY_SECONDS
        while not self._stop.is_set():
            try:
                if seen is None:
                    seen = self._events.position()  # before the first expiry, so that what it closes is seen
                if time.monotonic() - expired >= EXPIRY_SECONDS:
                    self.expire()
                    expired = time.monotonic()
                if (position := self._events.wait(seen, IDLE_SECONDS, self._stop)) > seen:
                    for memory in spoken_in(self._events, seen, position):
                        self._serve(memory)
                    seen = position
            except SQLAlchemyError as error:  # the database is away
                log.debug("reader.waits", error=type(error).__name__)
                self._stop.wait(1.0)
            except Exception:  # an error that was not foreseen
                log.error("reader.failed", error=traceback.format_exc(limit=3))
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
