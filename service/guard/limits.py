"""Limits for each client: how much it asks for a minute, and how many answers are generated at the same time."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict

from core.errors.access import TooManyAnswers, TooManyBytes, TooManyCalls, TooManyFacts

CLIENTS = 10_000  # whose use is counted, the last ones
AGAIN_SECONDS = 1.0  # after which a client with too many answers may try again
MINUTE = 60.0


class _Rate:
    """So much a minute for each client.

    A client that has used nothing for a minute may use all of a minute at once. After that it gets more as time passes
    (the generic cell rate algorithm). What is more than a minute's is let through where nothing was used, and takes the
    minutes that it is worth, because it would never be let through otherwise.
    """

    def __init__(self, limit: int, refusal: type[TooManyCalls]) -> None:
        self.due: OrderedDict[str, float] = OrderedDict()  # when all that was used will have been due
        self._limit = limit
        self._refusal = refusal

    @property
    def limited(self) -> bool:
        return self._limit > 0

    def use(self, client: str, amount: int) -> None:
        """Counts `amount`. Raises the refusal, and counts nothing, where a minute's does not hold it."""
        if not self._limit or not amount:
            return
        now, seconds = time.monotonic(), MINUTE * amount / self._limit
        due = max(self.due.get(client, now), now)
        if (wait := due + min(seconds, MINUTE) - now - MINUTE) > 1e-6:
            raise self._refusal(self._limit, wait)
        self._count(client, due + seconds)

    def check(self, client: str) -> None:
        """Raises the refusal, and counts nothing, where nothing of a minute's is left."""
        now = time.monotonic()
        if self._limit and (wait := self.due.get(client, now) + MINUTE / self._limit - now - MINUTE) > 1e-6:
            raise self._refusal(self._limit, wait)

    def add(self, client: str, amount: int) -> None:
        """Counts `amount` that was used already."""
        if self._limit and amount:
            now = time.monotonic()
            self._count(client, max(self.due.get(client, now), now) + MINUTE * amount / self._limit)

    def _count(self, client: str, due: float) -> None:
        self.due[client] = due
        self.due.move_to_end(client)
        if len(self.due) > CLIENTS:
            self.due.popitem(last=False)


class Limits:
    """Counts what clients use; used on one event loop.

    Attributes:
        calls: requests.
        bytes: of requests.
        facts: that are told, or remembered of what is said in chats.
    """

    def __init__(self, calls: int, answers: int, bytes: int = 0, facts: int = 0) -> None:
        """Allows so much a minute, and `answers` at the same time; 0 for no limit."""
        self.calls = _Rate(calls, TooManyCalls)
        self.bytes = _Rate(bytes, TooManyBytes)
        self.facts = _Rate(facts, TooManyFacts)
        self._answers = answers
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """Number of answers that are being generated."""
        return self._running.total()

    def begin_answer(self, client: str) -> None:
        """Counts an answer that is being generated. Raises TooManyAnswers."""
        if self._answers and self._running[client] >= self._answers:
            raise TooManyAnswers(self._answers, AGAIN_SECONDS)
        self._running[client] += 1

    def end_answer(self, client: str) -> None:
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
