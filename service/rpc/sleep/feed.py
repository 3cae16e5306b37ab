"""The sleeps of a memory: found, told as reports, and followed while they last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hypnogram.v1 import sleep_pb2

from core.errors.base import SleepUnknown
from core.ids import MemoryId, SleepId
from core.state.memory import Memory
from core.state.work import SleepStep, next_work
from service.app.progress import ProgressBoard, StepProgress
from service.app.repository import MemoryRepository
from service.rpc.log_tail import LogTail
from service.rpc.sleep.report import News, SleepReportBuilder
from store.log.event_log import EventLog

PAGE = 500  # events read at once
GLANCE_SECONDS = 0.2  # between looks at the chart


@dataclass(frozen=True, slots=True)
class Span:
    """A sleep and its versions; `ended` is None while it is in progress."""

    sleep: SleepId
    began: int
    ended: int | None


def spans(state: Memory) -> list[Span]:
    """The sleeps and naps of a memory, oldest first."""
    ended = [Span(sleep, night.began, night.ended) for sleep, night in state.nights.items()]
    return ended if state.sleep is None else [*ended, Span(state.sleep.id, state.sleep.began, None)]


def span(state: Memory, sleep: SleepId) -> Span:
    """The sleep of that id, by default the last one. Raises SleepUnknown."""
    for one in reversed(spans(state)):
        if sleep in ("", one.sleep):
            return one
    raise SleepUnknown(sleep or "last")


class SleepFeed:
    """Reports and news of sleeps, from the log, from the chart what is not in it."""

    def __init__(self, log: EventLog, states: MemoryRepository, tail: LogTail, chart: ProgressBoard) -> None:
        self._log = log
        self._states = states
        self._tail = tail
        self._chart = chart

    def report(self, memory: MemoryId, state: Memory, sleep: SleepId) -> sleep_pb2.SleepReport:
        """The report as of `state`. Blocking. Raises SleepUnknown."""
        found = span(state, sleep)
        account = self._account(memory, found)
        last = found.ended or state.version
        while account.state.version < last:
            after = account.state.version
            account.add(self._log.read(memory=memory, after_version=after, limit=min(PAGE, last - after)))
        return account.report()

    async def news(self, memory: MemoryId, sleep: SleepId) -> AsyncIterator[News]:
        """A sleep from its beginning to its end, whose report is the last piece.

        Raises:
            SleepUnknown: there is no such sleep.
            ShuttingDown: the server stops before it has ended.
        """
        account = await asyncio.to_thread(self._begun, memory, sleep)
        reached: SleepStep | None = None
        while True:
            position = self._tail.position
            after = account.state.version
            page = await asyncio.to_thread(self._log.read, memory=memory, after_version=after, limit=PAGE)
            for one in await asyncio.to_thread(account.add, page):
                yield one
            if account.ended:
                return
            if len(page) == PAGE:
                continue
            owed = next_work(account.state)
            if isinstance(owed, SleepStep) and owed != reached:
                reached = owed
                step = sleep_pb2.StepReached(step=owed.name, attempt=owed.attempt, facts=len(owed.facts))
                yield News(version=account.state.version, step=step)
            async for progress in self._until_moved(memory, position, reached):
                yield News(version=account.state.version, progress=progress)

    async def _until_moved(
        self, memory: MemoryId, position: int, work: SleepStep | None
    ) -> AsyncIterator[sleep_pb2.StepProgress]:
        """How far `work` is, whenever that changes, until the log moves beyond `position`."""
        shown: StepProgress | None = None
        while True:
            reading = self._chart.read(memory)
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
        return self._account(memory, span(self._states.current(memory), sleep))

    def _account(self, memory: MemoryId, found: Span) -> SleepReportBuilder:
        return SleepReportBuilder(self._states.at(memory, found.began - 1))
