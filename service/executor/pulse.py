"""The heartbeat of an executor, from a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from store.database.executors import BEAT_SECONDS, Executors

log = structlog.get_logger()


class Pulse:
    """Records signs of life of the executor `owner` inside its `with` block."""

    def __init__(self, executors: Executors, owner: str) -> None:
        self._executors, self._owner = executors, owner
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        with suppress(SQLAlchemyError):  # the row becomes outdated instead
            self._executors.leave(self._owner)

    def _beat(self) -> None:
        while not self._done.is_set():
            try:
                self._executors.beat(self._owner)
            except SQLAlchemyError as error:  # the database is away; the executor logs it
                log.debug("pulse.missed", error=str(error))
            self._done.wait(BEAT_SECONDS)
