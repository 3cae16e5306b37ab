"""One executor, as a Ray actor."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass

from service.app.supervision import run_on
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where an executor runs.

    Attributes:
        node: name of the machine.
        pid: id of the process there.
        problem: why it could not begin; empty once it works.
    """

    node: str
    pid: int
    problem: str = ""


class Slot:
    """An executor in a process that Ray started, and starts anew on some node where that process or its node dies.

    It holds nothing that the log does not. Its constructor raises nothing, because Ray gives up an actor whose
    constructor failed: whatever is away when it begins, such as the database, is tried again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._stop, self._problem = settings, threading.Event(), ""
        self._thread = threading.Thread(target=run_on, args=(self, self._stop), name="executor", daemon=True)
        self._thread.start()

    def where(self) -> Whereabouts:
        return Whereabouts(node=socket.gethostname(), pid=os.getpid(), problem=self._problem)

    def stop(self) -> None:
        """Returns once the executor has stopped, or has had its time to; unfinished work is owed again."""
        self._stop.set()
        self._thread.join(self._settings.stop_seconds)

    def run(self, stop: threading.Event) -> None:
        """Opens the store and works until `stop` is set."""
        from service.app.store import open_store
        from service.executor.loop import Executor
        from service.log_setup import configure
        from service.tracing import tracing
        from service.weights.torch_setup import prepare_torch

        settings = self._settings
        configure(settings.log_format, settings.log_level)
        try:
            with tracing(settings.traces), open_store(settings) as store:
                prepare_torch(settings)
                executor = Executor(store.log, store.artifacts, store.snapshots, settings)
                self._problem = ""
                executor.run(stop)
        except Exception as error:
            self._problem = " ".join(str(error).split()) or type(error).__name__
            raise
