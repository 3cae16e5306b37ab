"""Limits for each client: how often it calls, and how many answers are generated for it at the same time."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict

from core.errors.access import TooManyAnswers, TooManyCalls

CLIENTS = 10_000  # whose calls are counted, the last ones
AGAIN_SECONDS = 1.0  # after which a client with too many answers may try again


class Limits:
    """Counts calls of clients; used on one event loop.

    A client that has not called for a minute may make all calls of a minute at once. After that it gets the next one
    each time that a minute's share has passed (the generic cell rate algorithm).
    """

    def __init__(self, calls: int, answers: int) -> None:
        """Allows `calls` a minute and `answers` at the same time; 0 for no limit."""
        self._calls = calls
        self._answers = answers
        self._due: OrderedDict[str, float] = OrderedDict()  # when all calls that were made will have been due
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """Number of answers that are being generated."""
        return self._running.total()

    def call(self, client: str) -> None:
        """Counts a call. Raises TooManyCalls."""
        if not self._calls:
            return
        now, share = time.monotonic(), 60 / self._calls
        due = max(self._due.get(client, now), now) + share
        if (wait := due - now - 60) > 1e-6:
            raise TooManyCalls(self._calls, wait)
        self._due[client] = due
        self._due.move_to_end(client)
        if len(self._due) > CLIENTS:
            self._due.popitem(last=False)

    def begin_answer(self, client: str) -> None:
        """Counts an answer that is being generated. Raises TooManyAnswers."""
        if self._answers and self._running[client] >= self._answers:
            raise TooManyAnswers(self._answers, AGAIN_SECONDS)
        self._running[client] += 1

    def end_answer(self, client: str) -> None:
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
