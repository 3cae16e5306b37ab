"""The executor: an event handler that tails the log, folds, performs the next work, and records what came of it.

It keeps nothing that the log does not hold. Killed anywhere, it resumes by folding; beside another executor, a lease
spares double work, and an append that expects a version the memory has left is the end of a result nobody needs.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import OrderedDict
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.commands import Command, RecordFailure
from core.errors import Conflict, HypnogramError, ModelUnavailable, NotReady, StaleWork, Unlearnable
from core.events import Cause
from core.ids import MemoryId
from core.memory import Memory
from core.work import (
    RETRY_SECONDS,
    Erase,
    PrepareStatistics,
    Purge,
    SleepStep,
    Work,
    next_work,
    seconds_before,
    still_owed,
)
from service import erasing, purging
from service.bedside import Progress
from service.chart import Chart, Reading
from service.desk import Desk
from service.projection import Deltas
from service.pulse import Pulse
from service.rest import Rest
from service.settings import Settings
from service.states import States
from service.subjects import Subjects
from store.artifacts import Artifacts
from store.clock import next_uuid
from store.executors import Duty, Executors
from store.leases import Lease, Leases
from store.log import EventLog
from store.snapshots import Snapshots

KEPT_DESKS = 8
RETRIES = 100  # of an append that lost a race to clients telling more facts
IDLE_SECONDS = 0.5
GLANCE_SECONDS = 1.0  # between looks at the log whether long work is still owed
CAUSE = Cause(actor="executor")

log = structlog.get_logger()


class Unwanted(Exception):
    """The work at hand is not owed any more, or the executor shall stop: nothing is recorded."""


class Executor:
    """Works for all memories of one log, one piece of work at a time."""

    def __init__(
        self,
        events: EventLog,
        artifacts: Artifacts,
        snapshots: Snapshots,
        settings: Settings,
        subjects: Subjects | None = None,
        chart: Chart | None = None,
    ) -> None:
        self._events = events
        self._artifacts = artifacts
        self._snapshots = snapshots
        self._settings = settings
        self._states = States(events, snapshots)
        self._subjects = subjects or Subjects(settings.device)
        self._deltas = Deltas(artifacts, events.keyring)
        self._chart = chart or Chart()
        self._rest = Rest(events, self._states, settings)
        self._leases = Leases(events.engine)
        self._owner = next_uuid()
        self._desks: OrderedDict[MemoryId, Desk] = OrderedDict()
        self._held_up: dict[MemoryId, Work] = {}
        self._not_before: dict[MemoryId, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set. Errors of the database are waited out."""
        log.info("executor.started", owner=self._owner)
        with Pulse(Executors(self._events.engine), self._owner):
            self._work(stop)
        log.info("executor.stopped", owner=self._owner)

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                position = self._events.position()
                worked = [
                    self._serve(memory, stop)
                    for memory in self._events.memories()
                    if not stop.is_set() and not self._rest.undisturbed(memory)
                ]
                if not any(worked) and not stop.is_set():
                    self._events.wait(position, IDLE_SECONDS)
            except Exception:
                log.error("executor.failed", error=traceback.format_exc(limit=3))
                stop.wait(1.0)

    def _serve(self, memory: MemoryId, stop: threading.Event) -> bool:
        """Does all that `memory` owes now; whether there was anything."""
        worked = False
        while not stop.is_set():
            state = self._states.current(memory)
            work = next_work(state)
            waits = work is not None and not self._due(memory, work)
            if (work is None or (waits and isinstance(work, Erase))) and self._rest.begin_if_due(memory, state):
                continue
            if work is None or waits:
                return worked
            duty = Duty(work=work.name, attempt=work.attempt)
            lease = self._leases.claim(memory, self._owner, self._settings.lease_seconds, duty)
            if lease is None:
                return worked
            with _Renewal(self._leases, lease, self._settings.lease_seconds):
                self._do(memory, state, work, stop)
            self._leases.release(lease)
            worked = True
        return worked

    def _due(self, memory: MemoryId, work: Work) -> bool:
        again = work.attempt > 1 or self._held_up.get(memory) == work
        return not again or time.monotonic() >= self._not_before.get(memory, 0.0)

    def _do(self, memory: MemoryId, state: Memory, work: Work, stop: threading.Event) -> None:
        began = time.monotonic()
        try:
            done = self._record(memory, self._perform(memory, state, work, stop))
        except Unwanted as why:
            self._desks.pop(memory, None)
            log.info("work.dropped", memory=memory, work=work.name, why=str(why))
        except SQLAlchemyError:
            raise  # the database cannot be reached: no fault of the work
        except Exception as error:
            self._desks.pop(memory, None)
            if _is_held_up(work, error):
                self._held_up[memory], self._not_before[memory] = work, time.monotonic() + RETRY_SECONDS[-1]
                log.warning("work.waits", memory=memory, work=work.name, why=str(error))
            else:
                self._failed(memory, state, work, error)
        else:
            if done is not None:
                log.info("work.done", memory=memory, work=work.name, seconds=round(time.monotonic() - began, 3))
        finally:
            self._chart.clear(memory)

    def _perform(self, memory: MemoryId, state: Memory, work: Work, stop: threading.Event) -> Command:
        if isinstance(work, Purge):
            self._desks.pop(memory, None)
            return purging.perform(self._events, self._artifacts, self._snapshots, memory, work)
        if not isinstance(work, Erase):
            return self._desk(memory, state).perform(work, state, self._progress(memory, work, stop))
        command = erasing.perform(self._events, self._artifacts, self._snapshots, self._states, memory, work)
        self._deltas.forget((work.fact,))
        return command

    def _progress(self, memory: MemoryId, work: Work, stop: threading.Event) -> Progress:
        """Tells the chart how far `work` is; raises Unwanted once nobody needs it any more."""
        looked = time.monotonic()

        def progress(done: int, total: int, loss: float | None) -> None:
            nonlocal looked
            if stop.is_set():
                raise Unwanted("the executor stops")
            if isinstance(work, SleepStep):
                self._chart.write(memory, Reading(work, done, total, loss))
            if not isinstance(work, PrepareStatistics) and time.monotonic() - looked >= GLANCE_SECONDS:
                looked = time.monotonic()
                if not still_owed(self._states.current(memory), work):
                    raise Unwanted("it is not owed any more")

        return progress

    def _failed(self, memory: MemoryId, state: Memory, work: Work, error: Exception) -> None:
        reason = error.reason if isinstance(error, HypnogramError) else type(error).__name__
        message = _without_words(error)
        log.warning("work.failed", memory=memory, work=work.name, attempt=work.attempt, reason=reason, error=message)
        retry = not isinstance(error, Unlearnable)
        after = self._record(memory, RecordFailure(work=work, reason=reason, message=message, retry=retry))
        again = next_work(after or state)
        if again is not None:
            self._not_before[memory] = time.monotonic() + seconds_before(again)

    def _record(self, memory: MemoryId, command: Command) -> Memory | None:
        """The state after `command`, or None if the memory has moved on and nothing was recorded."""
        try:
            return self._states.carry_out(memory, lambda _: command, CAUSE, retries=RETRIES)
        except (StaleWork, Conflict) as error:
            self._desks.pop(memory, None)
            log.info("work.dropped", memory=memory, why=str(error))
            return None

    def _desk(self, memory: MemoryId, state: Memory) -> Desk:
        assert state.created is not None
        if memory not in self._desks:
            subject = self._subjects.twin(state.created)
            self._desks[memory] = Desk(subject, state.created, self._artifacts, self._deltas)
            if len(self._desks) > KEPT_DESKS:
                self._desks.popitem(last=False)
        self._desks.move_to_end(memory)
        return self._desks[memory]


def _is_held_up(work: Work, error: Exception) -> bool:
    """Whether `work` can only wait: somebody reads the database, or the base model that it did run on is not there."""
    away = isinstance(error, ModelUnavailable) and not isinstance(work, PrepareStatistics)
    return away or isinstance(error, NotReady)


def _without_words(error: Exception) -> str:
    """What is said of `error` where it stays for good: errors of ours quote no fact, of others the place must do."""
    if isinstance(error, HypnogramError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"  # the system's own words
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


class _Renewal:
    """Keeps a lease alive from a thread of its own while long work goes on."""

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
            self._leases.renew(self._lease, self._seconds)
