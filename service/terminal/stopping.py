"""Ends long work within seconds of a signal, whatever its threads do."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 5.0  # for the work to clean up


@contextmanager
def on_signals(call: Callable[[], None]) -> Iterator[None]:
    """Calls `call` on SIGINT and SIGTERM in the block; the handlers of before are back after it."""
    handlers = {number: signal.signal(number, lambda *_: call()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def stopped_by_signals(say: Callable[[], None]) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into KeyboardInterrupt in the block, and calls `say` once after it.

    If the block has not ended, or its threads have not, `GRACE_SECONDS` later, the process exits with status 130.
    """
    before, hook = set(threading.enumerate()), threading.excepthook
    said = threading.Lock()

    def say_once() -> None:
        if said.acquire(blocking=False):
            say()

    def leave() -> None:
        say_once()
        sys.stdout.flush()
        os._exit(130)

    def interrupt(*_: object) -> None:
        threading.excepthook = lambda _: None  # because threads fail over resources that the block has closed
        if not timer.is_alive():
            timer.start()
        raise KeyboardInterrupt

    timer = threading.Timer(GRACE_SECONDS, leave)
    timer.daemon = True
    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        say_once()
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if not {thread for thread in threading.enumerate() if not thread.daemon} - before:
            timer.cancel()
            threading.excepthook = hook
