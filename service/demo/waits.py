"""Shows what the demo is doing: a spinner on a terminal, a line every few seconds in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from service.terminal.spinner import now_and_then

EVERY = 8.0  # seconds from line to line


@contextmanager
def meanwhile(console: Console, words: str) -> Iterator[Callable[[str], None]]:
    """Shows `words`, then the words that the yielded function is called with, until the block ends."""
    if console.is_terminal:
        with console.status(words) as status:
            yield status.update
        return
    now = words

    def update(words: str) -> None:
        nonlocal now
        now = words

    def say(seconds: float, ended: Callable[[], bool]) -> None:
        if not ended():
            console.print(f"  ... {now} ({seconds:.0f} s)")

    with now_and_then(say, EVERY):
        yield update
