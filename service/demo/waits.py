"""Shows what the demo waits for: a spinner on a terminal, a line every few seconds in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from service.terminal.spinner import MOVING, now_and_then

EVERY = 8.0  # seconds from line to line in a file


@contextmanager
def meanwhile(console: Console, words: str | Callable[[], str]) -> Iterator[Callable[[str], None]]:
    """Shows `words`, then the words that the yielded function is called with, until the block ends.

    Args:
        words: or a function that returns them, called in another thread.
    """
    now = words

    def said(seconds: float) -> str:
        return f"{now if isinstance(now, str) else now()} ({seconds:.0f} s)"

    def update(words: str) -> None:
        nonlocal now
        now = words

    if console.is_terminal:
        with console.status(words if isinstance(words, str) else "") as status:

            def move(seconds: float, ended: Callable[[], bool]) -> None:
                status.update(said(seconds))

            def update_at_once(words: str) -> None:
                update(words)
                status.update(words)

            with now_and_then(move, MOVING):
                yield update_at_once
        return

    def say(seconds: float, ended: Callable[[], bool]) -> None:
        line = said(seconds)
        if not ended():
            console.print(f"  ... {line}", soft_wrap=True)

    with now_and_then(say, EVERY):
        yield update
