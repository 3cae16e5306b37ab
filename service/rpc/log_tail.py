"""Wakes calls on the event loop when the log grows: one thread waits for the log on behalf of all of them."""

from __future__ import annotations

import asyncio
import threading

import structlog

from service.rpc.status import ShuttingDown
from store.log.event_log import EventLog

WAIT_SECONDS = 60.0  # for an event, before the thread waits for it again
RETRY_SECONDS = 1.0  # after the database was unreachable

log = structlog.get_logger()


class LogTail:
    """Follows the end of the log.

    To miss no event, read `position`, then read the log, then `wait_past(position)`.

    Attributes:
        position: last position of the log that is known here.
    """

    def __init__(self, events: EventLog) -> None:
        self.position = 0
        self._events = events
        self._moved = asyncio.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread; to be called on the event loop on which calls will wait."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="log-tail", daemon=True)
        self._thread.start()

    async def wait_past(self, position: int) -> int:
        """Returns the log's last position once that is greater than `position`.

        Raises:
            ShuttingDown: the server stops before that.
        """
        while self.position <= position:
            if self._stopped.is_set():
                raise ShuttingDown
            await self._moved.wait()
        return self.position

    async def stop(self) -> None:
        """Ends every wait."""
        self._stopped.set()
        self._events.wake()
        self._announce(self.position)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        position = 0
        while not self._stopped.is_set():
            try:
                moved = self._events.wait(position, WAIT_SECONDS, self._stopped)
            except Exception as error:  # any error, because without this thread waiting calls would never return
                log.warning("log.unreachable", error=str(error))
                self._stopped.wait(RETRY_SECONDS)
                continue
            if moved > position and not self._stopped.is_set():
                position = moved
                loop.call_soon_threadsafe(self._announce, position)

    def _announce(self, position: int) -> None:
        self.position = max(self.position, position)
        self._moved.set()
        self._moved = asyncio.Event()
