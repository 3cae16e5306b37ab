"""Finds the sleeps of a memory, reports them, and follows one while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hypnogram.v1 import sleep_pb2

from core.errors.base import SleepUnknown
from core.ids import MemoryId, SleepId
from core.state.memory import Memory
from core.state.work import SleepStep, work_on_facts
from service.app.progress import ProgressBoard, StepProgress
from service.app.repository import MemoryRepository, check_not_gone
from service.rpc.log_tail import LogTail
from service.rpc.sleep.report import News, SleepReportBuilder
from store.log.event_log import EventLog

PAGE = 500  # events read at once
GLANCE_SECONDS = 0.2  # between looks at the progress board


@dataclass(frozen=True, slots=True)
class Span:
    """A sleep or nap and its versions; `ended` is None while it is in progress."""

    id: SleepId
    began: int
    ended: int | None


def spans(state: Memory) -> list[Span]:
    """The sleeps and naps of a memory, oldest first."""
    ended = [Span(sleep, night.began, night.ended) for sleep, night in state.nights.items()]
    return ended if state.sleep is None else [*ended, Span(state.sleep.id, state.sleep.began, None)]


def span(state: Memory, sleep: SleepId) -> Span:
    """The sleep of that id, or the last one for an empty id. Raises SleepUnknown."""
    for candidate in reversed(spans(state)):
        if sleep in ("", candidate.id):
            return candidate
    raise SleepUnknown(sleep or "last")


class SleepFeed:
    """Builds reports and news of sleeps from the log, and from the progress board what the log does not hold."""

    def __init__(self, log: EventLog, states: MemoryRepository, tail: LogTail, board: ProgressBoard) -> None:
        self._log = log
        self._states = states
        self._tail = tail
        self._board = board

    def report(self, memory: MemoryId, state: Memory, sleep: SleepId) -> sleep_pb2.SleepReport:
        """The report as of `state`. Blocking. Raises SleepUnknown."""
        reported = span(state, sleep)
        builder = self._builder(memory, reported)
        last = reported.ended or state.version
        while builder.state.version < last:
            after = builder.state.version
            builder.add(self._log.read(memory=memory, after_version=after, limit=min(PAGE, last - after)))
        return builder.report()

    async def news(self, memory: MemoryId, sleep: SleepId) -> AsyncIterator[News]:
        """Yields the news of a sleep from its beginning to its end; the last piece is the report.

        Raises:
            SleepUnknown: no sleep has that id.
            MemoryGone: the memory is deleted before the sleep has ended.
            ShuttingDown: the server stops before the sleep has ended.
        """
        builder = await asyncio.to_thread(self._begun, memory, sleep)
        reached: SleepStep | None = None
        while True:
            position = self._tail.position
            after = builder.state.version
            page = await asyncio.to_thread(self._log.read, memory=memory, after_version=after, limit=PAGE)
            for news in await asyncio.to_thread(builder.add, page):
                yield news
            if builder.ended:
                return
            check_not_gone(builder.state, None)
            if len(page) == PAGE:
                continue
            owed = work_on_facts(builder.state)
            if isinstance(owed, SleepStep) and owed != reached:
                reached = owed
                step = sleep_pb2.StepReached(step=owed.name, attempt=owed.attempt, facts=len(owed.facts))
                yield News(version=builder.state.version, step=step)
            async for progress in self._until_moved(memory, position, reached):
                yield News(version=builder.state.version, progress=progress)

    async def _until_moved(
        self, memory: MemoryId, position: int, work: SleepStep | None
    ) -> AsyncIterator[sleep_pb2.StepProgress]:
        """Yields the progress of `work` whenever it changes, until the log moves beyond `position`."""
        shown: StepProgress | None = None
        while True:
            reading = self._board.read(memory)
            if reading is not None and reading != shown and reading.work == work:
                shown = reading
                yield sleep_pb2.StepProgress(
                    step=reading.work.name, done=reading.done, total=reading.total, loss=reading.loss
                )
            try:
                async with asyncio.timeout(GLANCE_SECONDS):
                    await self._tail.wait_past(position)
            except TimeoutError:
                continue
            return

    def _begun(self, memory: MemoryId, sleep: SleepId) -> SleepReportBuilder:
        return self._builder(memory, span(self._states.at(memory, None), sleep))

    def _builder(self, memory: MemoryId, sleep: Span) -> SleepReportBuilder:
        return SleepReportBuilder(self._states.at(memory, sleep.began - 1))
