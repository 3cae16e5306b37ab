"""The executor: follows the log, folds states, performs the next work and records its result (a process manager).

It keeps nothing that the log does not hold, so that it can be killed anywhere and resumes by folding. Beside another
executor, a lease avoids double work; a late result is dropped, because its append expects a version that the memory has
left.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.decide.commands import Command, RecordFailure
from core.errors.base import Conflict, HypnogramError, StaleWork, Unlearnable
from core.extraction.words import Parser
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.work import (
    Erase,
    EraseTexts,
    Inject,
    PrepareStatistics,
    Purge,
    Read,
    SleepStep,
    Work,
    erasure_due,
    next_work,
    owed_since,
    seconds_before,
    still_owed,
    work_on_facts,
)
from service import tracing
from service.app import erasure, purging
from service.app.progress import Pace, ProgressBoard, StepProgress
from service.app.reading import cause_of
from service.app.repository import MemoryRepository
from service.executor.auto_sleep import LOOK_SECONDS, AutoSleep
from service.executor.editor import Editor
from service.executor.passing import OUT_OF_MEMORY, passing, without_words
from service.executor.pulse import Pulse
from service.executor.reader import Reader
from service.executor.waits import LOOK, Waits
from service.executor.work.context import Progress
from service.parsing.spacy_parser import shared_parser
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from store.artifacts import Artifacts
from store.clock import next_uuid
from store.database.executors import Duty, Executors
from store.database.leases import Lease, Leases
from store.log.event_log import EventLog
from store.log.listing import Listed
from store.state.snapshots import Snapshots

KEPT_EDITORS = 8
MEMORY_TRIES = 10  # at the same facts, in some four minutes, after which running out of memory counts as an attempt
IDLE_SECONDS = 0.5
STILL_OWED_SECONDS = 1.0  # between checks whether long work is still owed

log = structlog.get_logger()


class Unwanted(Exception):
    """Raised to end work that is not owed any more, or whose executor stops: nothing is recorded."""


class Executor:
    """Performs the work of all memories of one log: one piece for each memory in turn."""

    def __init__(
        self,
        events: EventLog,
        artifacts: Artifacts,
        snapshots: Snapshots,
        settings: Settings,
        bases: BaseModels | None = None,
        board: ProgressBoard | None = None,
        parser: Parser | None = None,
    ) -> None:
        self._events = events
        self._artifacts = artifacts
        self._snapshots = snapshots
        self._settings = settings
        self._states = MemoryRepository(events, snapshots)
        self._bases = bases or BaseModels(settings.device)
        self._deltas = DeltaStore(artifacts, events.keyring)
        self._board = board or ProgressBoard()
        self._auto_sleep = AutoSleep(events, self._states, settings)
        self._leases = Leases(events.engine)
        self._owner = next_uuid()
        self._reader = Reader(events, self._states, parser or shared_parser())
        self._editors: OrderedDict[MemoryId, Editor] = OrderedDict()
        self._waits = Waits()

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set. Raises nothing: it waits until an error has passed."""
        log.info("executor.started", owner=self._owner)
        with Pulse(Executors(self._events.engine), self._owner), self._reader:
            self._work(stop)
        log.info("executor.stopped", owner=self._owner)

    def _work(self, stop: threading.Event) -> None:
        """Does one piece of work for every memory, and again, until `stop` is set.

        While the log does not grow, memories that were found idle are looked at by the clock alone.
        """
        due, listed_at, looked = list[Listed](), -1, 0.0
        while not stop.is_set():
            try:
                position = self._events.position()
                if position != listed_at or time.monotonic() - looked >= LOOK_SECONDS:
                    due, listed_at, looked = self._events.listed(), position, time.monotonic()
                worked = [self._turn(listed, stop) for listed in due if not stop.is_set()]
                due = [listed for listed in due if not self._auto_sleep.is_idle(listed.memory, listed.version)]
                if not any(worked) and not stop.is_set():
                    self._events.wait(position, IDLE_SECONDS, stop)
            except Exception:  # the database is away, or an error that was not foreseen
                log.error("executor.failed", error=traceback.format_exc(limit=3))
                stop.wait(1.0)

    def _turn(self, listed: Listed, stop: threading.Event) -> bool:
        """Does a piece of work for a memory and returns whether there was any. An error delays that memory alone.

        Raises:
            SQLAlchemyError: the database is away, for this memory and for all.
        """
        memory = listed.memory
        if not self._waits.may_look(memory):
            return False
        try:
            worked = not self._auto_sleep.is_idle(memory, listed.version) and self._serve(memory, stop)
        except Exception as error:
            self._forget_editor(memory)
            if self._waits.until_it_passes(memory, Duty(work=LOOK, reason=type(error).__name__)) == 1:
                log.error("memory.waits", memory=memory, error=traceback.format_exc(limit=3))
            self._events.position()
            return False
        self._waits.over(memory, LOOK)
        return worked

    def _serve(self, memory: MemoryId, stop: threading.Event) -> bool:
        """Does the next work, and the next erasure, which waits for no other work; returns whether any was done."""
        state = self._states.current(memory)
        work = next_work(state)
        if isinstance(work, Read | EraseTexts) and not self._waits.due(memory, work):
            work = work_on_facts(state)  # which does not wait for a parser
        if work is None and self._waits.all_over(memory) and (lease := self._claimed(memory)):
            self._leases.release(lease)  # so that its row does not name any more what the memory waited for
        waits = work is not None and not self._waits.due(memory, work)
        if (work is None or (waits and isinstance(work, Erase))) and self._auto_sleep.begin_if_due(memory, state):
            return True
        worked = work is not None and not waits and self._do(memory, state, work, stop)
        if worked:
            state = self._states.current(memory)
        erasure = erasure_due(state)
        if erasure is not None and not stop.is_set() and self._waits.due(memory, erasure):
            worked |= self._do(memory, state, erasure, stop)
        return worked

    def _claimed(self, memory: MemoryId, work: Work | None = None) -> Lease | None:
        duty = Duty(work=work.name, attempt=work.attempt) if work else None
        return self._leases.claim(memory, self._owner, self._settings.lease_seconds, duty)

    def _do(self, memory: MemoryId, state: Memory, work: Work, stop: threading.Event) -> bool:
        """Tries `work`; returns False while another executor works for this memory."""
        lease = self._claimed(memory, work)
        if lease is None:
            return False
        with _Renewal(self._leases, lease, self._settings.lease_seconds):
            self._try(memory, state, work, stop)
        self._leases.release(lease, self._waits.put_off(memory))
        return True

    def _try(self, memory: MemoryId, state: Memory, work: Work, stop: threading.Event) -> None:
        began = time.monotonic()
        try:
            with tracing.work(work.name, memory, self._correlations(memory, state, work)):
                command = self._perform(memory, state, work, stop)
                done = self._record(memory, command)
        except Unwanted as why:
            self._forget_editor(memory)
            log.info("work.dropped", memory=memory, work=work.name, why=str(why))
        except Exception as error:
            self._forget_editor(memory)
            reason = passing(error)
            if reason is None or (self._held_up(memory, work, reason, error) and isinstance(work, Inject)):
                self._failed(memory, state, work, error)
        else:
            self._waits.over(memory, work.name)
            if isinstance(command, RecordFailure):
                log.warning("work.failed", memory=memory, work=work.name, reason=command.reason, error=command.message)
            elif done is not None:
                log.info("work.done", memory=memory, work=work.name, seconds=round(time.monotonic() - began, 3))
        finally:
            self._board.clear(memory)

    def _correlations(self, memory: MemoryId, state: Memory, work: Work) -> Iterator[str]:
        """Yields the correlations of the events that `work` is owed because of, once they are asked for."""
        for version in owed_since(state, work):
            for recorded in self._events.read(memory=memory, after_version=version - 1, limit=1):
                yield recorded.cause.correlation

    def _held_up(self, memory: MemoryId, work: Work, reason: str, error: Exception) -> bool:
        """Puts off `work`, and counts no attempt, because the error passes or is repaired by hand.

        Returns whether memory has run out so often that the cause may be the work itself.
        """
        message = without_words(error)
        duty = Duty(work=work.name, attempt=work.attempt, reason=reason, message=message)
        tries = self._waits.until_it_passes(memory, duty)
        write = log.warning if tries == 1 else log.debug
        write("work.waits", memory=memory, work=work.name, reason=reason, error=message)
        return reason == OUT_OF_MEMORY and tries >= MEMORY_TRIES

    def _failed(self, memory: MemoryId, state: Memory, work: Work, error: Exception) -> None:
        reason = error.reason if isinstance(error, HypnogramError) else type(error).__name__
        message = without_words(error)
        log.warning("work.failed", memory=memory, work=work.name, attempt=work.attempt, reason=reason, error=message)
        retry = not isinstance(error, Unlearnable)
        after = self._record(memory, RecordFailure(work=work, reason=reason, message=message, retry=retry)) or state
        self._waits.over(memory, work.name)
        for again in (next_work(after), work_on_facts(after), erasure_due(after)):
            if again is not None and again.name == work.name and again.attempt > 1:
                duty = Duty(work=again.name, attempt=again.attempt, reason=reason, message=message)
                self._waits.after_failure(memory, duty, seconds_before(again))

    def _perform(self, memory: MemoryId, state: Memory, work: Work, stop: threading.Event) -> Command:
        if isinstance(work, Purge):
            self._forget_editor(memory)
            purge = purging.purge_memory(self._events, self._artifacts, self._snapshots, memory, work)
            self._deltas.drop(purge.purged.artifacts)
            return purge
        if isinstance(work, Read | EraseTexts):
            return self._reader.perform(memory, state, work)
        if not isinstance(work, Erase):
            return self._editor(memory, state).perform(work, state, self._progress(memory, work, stop))
        command = erasure.erase_fact(self._events, self._artifacts, self._snapshots, self._states, memory, work)
        self._deltas.forget((work.fact,))
        return command

    def _progress(self, memory: MemoryId, work: Work, stop: threading.Event) -> Progress:
        """Returns a progress that writes on the board, and raises Unwanted once `work` is not owed any more."""
        looked, pace = time.monotonic(), Pace()

        def progress(done: int, total: int, loss: float | None, stage: str = "") -> None:
            nonlocal looked
            if stop.is_set():
                raise Unwanted("the executor stops")
            if isinstance(work, SleepStep | PrepareStatistics):
                left = pace.seconds_left(stage, done, total)
                self._board.write(memory, StepProgress(work, done, total, loss, stage, left))
            if time.monotonic() - looked >= STILL_OWED_SECONDS:
                looked = time.monotonic()
                if not still_owed(self._states.current(memory), work):
                    raise Unwanted("it is not owed any more")

        return progress

    def _record(self, memory: MemoryId, command: Command) -> Memory | None:
        """Records `command` and returns the state after it; None where the memory has moved on, so that nothing was."""
        try:
            return self._states.record(memory, command, cause_of(command))
        except (StaleWork, Conflict) as error:
            self._forget_editor(memory)
            log.info("work.dropped", memory=memory, why=str(error))
            return None

    def _forget_editor(self, memory: MemoryId) -> None:
        self._editors.pop(memory, None)

    def _editor(self, memory: MemoryId, state: Memory) -> Editor:
        assert state.created is not None
        editor = self._editors.get(memory)
        if editor is None or editor.created != state.created:  # or a new memory has the name of a deleted one
            model = self._bases.clone(state.created)
            self._editors[memory] = Editor(model, state.created, self._artifacts, self._deltas)
            if len(self._editors) > KEPT_EDITORS:
                self._editors.popitem(last=False)
        self._editors.move_to_end(memory)
        return self._editors[memory]


class _Renewal:
    """Renews a lease, from a thread of its own, inside its `with` block."""

    def __init__(self, leases: Leases, lease: Lease, seconds: float) -> None:
        self._leases, self._lease, self._seconds = leases, lease, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._done.wait(self._seconds / 3):
            with suppress(SQLAlchemyError):  # the database is away; the append of the result decides
                self._leases.renew(self._lease, self._seconds)
