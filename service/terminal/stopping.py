"""Work of minutes that ends within seconds of a signal, whatever its threads are at."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE_SECONDS = 5.0  # for the work to clean up


@contextmanager
def stopped_by_signals(say: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt in the block, after which `say` is called, once.

    What has not cleaned up or still has threads a while later is left as it is: the process ends with status 130.
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
        threading.excepthook = lambda _: None  # threads fail over what is closed under them
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
        if not {one for one in threading.enumerate() if not one.daemon} - before:
            timer.cancel()
            threading.excepthook = hook
