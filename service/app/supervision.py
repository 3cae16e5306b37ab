"""Restarts an executor whenever it ends."""

from __future__ import annotations

import threading
import traceback

import structlog

from service.app.ports import Executor

RESTART_SECONDS = 1.0

log = structlog.get_logger()


def run_on(executor: Executor, stop: threading.Event) -> None:
    """Runs `executor` until `stop` is set; starts it again whenever it ends before."""
    while not stop.is_set():
        try:
            executor.run(stop)
        except BaseException:  # because an error raised here would end the thread unnoticed
            log.error("executor.died", error=traceback.format_exc(limit=3))
            stop.wait(RESTART_SECONDS)
