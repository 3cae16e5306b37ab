"""News of the log on the event loop: one thread waits for it, any number of calls are told."""

from __future__ import annotations

import asyncio
import threading

import structlog

from service.rpc.status import ShuttingDown
from store.log.event_log import EventLog

WAIT_SECONDS = 0.1  # how long the thread takes at most to notice that it shall stop
RETRY_SECONDS = 1.0  # after the database could not be asked

log = structlog.get_logger()


class LogTail:
    """`position` is the last position of the log known here. To miss nothing: take it, read, wait beyond it."""

    def __init__(self, events: EventLog) -> None:
        self.position = 0
        self._events = events
        self._moved = asyncio.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Call on the event loop that will wait."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="log-tail", daemon=True)
        self._thread.start()

    async def wait_past(self, position: int) -> int:
        """The log's last position, once that is greater than `position`.

        Raises:
            ShuttingDown: the server stops before.
        """
        while self.position <= position:
            if self._stopped.is_set():
                raise ShuttingDown
            await self._moved.wait()
        return self.position

    async def stop(self) -> None:
        """Ends every wait."""
        self._stopped.set()
        self._announce(self.position)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        position = 0
        while not self._stopped.is_set():
            try:
                moved = self._events.wait(position, WAIT_SECONDS)
            except Exception as error:  # whatever it is, every call that waits would wait for ever without this thread
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
