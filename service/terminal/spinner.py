"""Shows what a command waits for: a spinner on a terminal, a line every few seconds in a file."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.status import Status

T = TypeVar("T")

FIRST, EVERY = 2.0, 10.0  # seconds until the first line in a file, and between lines
MOVING = 1.0  # seconds between updates on a terminal
LOOK_SECONDS = 3.0  # limit of a call that asks the server what to show


class Bar(Protocol):
    """Updates a progress bar: amount done, amount in all (0 while unknown), and the current step."""

    def __call__(self, done: float, total: float, step: str) -> None: ...


@contextmanager
def waiting(what: str | Callable[[], str], *, quiet: bool = False) -> Iterator[None]:
    """Shows what the block waits for once it has lasted two seconds; nothing when `quiet`.

    Args:
        what: the words after "waiting for", or a function that returns them, called in another thread.
    """
    if quiet:
        yield
        return
    words = what if callable(what) else lambda: what
    spinner: list[Status] = []

    def say(seconds: float, ended: Callable[[], bool]) -> None:
        line = f"waiting for {words()} ({seconds:.0f} s)"
        if ended():
            return
        if not sys.stderr.isatty():
            _write(line)
        elif spinner:
            spinner[0].update(line)
        else:
            spinner.append(_spinner(line))

    try:
        with now_and_then(say, EVERY if not sys.stderr.isatty() else MOVING):
            yield
    finally:
        for status in spinner:
            status.stop()


@contextmanager
def progress(quiet: bool) -> Iterator[Bar]:
    """A progress bar on standard error, lines where that is a file; nothing when `quiet`."""
    if quiet:
        yield lambda done, total, step: None
        return
    if not sys.stderr.isatty():
        with lines(lambda: "beginning") as bar:
            yield bar
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("beginning", total=None)
        yield lambda done, total, step: bars.update(task, completed=done, total=total or None, description=step)


def until_first(items: Iterable[T], what: Callable[[], str], *, quiet: bool = False) -> Iterator[T]:
    """Yields the items, and shows what the first one waits for."""
    rest = iter(items)
    with waiting(what, quiet=quiet):
        first = list(islice(rest, 1))
    yield from first
    yield from rest


@contextmanager
def lines(before: Callable[[], str]) -> Iterator[Bar]:
    """Writes the last update of a bar as lines; before any update, what `before` returns."""
    last = ""

    def bar(done: float, total: float, step: str) -> None:
        nonlocal last
        last = f"{step}: {done:g} of {total:g}" if total else step

    def say(seconds: float, ended: Callable[[], bool]) -> None:
        line = last or before()
        if not ended():
            _write(f"{line} ({seconds:.0f} s)")

    with now_and_then(say, EVERY):
        yield bar


@contextmanager
def now_and_then(say: Callable[[float, Callable[[], bool]], None], every: float) -> Iterator[None]:
    """Calls `say` in a thread of its own, with the seconds so far, until the block ends."""
    ended, began = threading.Event(), time.monotonic()

    def run() -> None:
        pause = FIRST
        while not ended.wait(pause):
            say(time.monotonic() - began, ended.is_set)
            pause = every

    thread = threading.Thread(target=run, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LOOK_SECONDS)


def _spinner(line: str) -> Status:
    from rich.console import Console

    status = Console(stderr=True, highlight=False).status(line)
    status.start()
    return status


def _write(line: str) -> None:
    with suppress(OSError, ValueError):  # the reader has gone
        sys.stderr.write(f"hypnogram: {line}\n")
        sys.stderr.flush()
