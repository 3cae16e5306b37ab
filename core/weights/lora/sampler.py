"""Which lessons come next: half of a batch in the order of the epoch, half those that went worst when last seen.

Most facts are learned in a few visits and a handful takes many; without the second half training would spend its time
on what is known already, and a mean loss would hide what is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Generic, TypeVar

Lesson = TypeVar("Lesson")


class HardExampleSampler(Generic[Lesson]):
    """Lessons, and how each went when it was last seen."""

    def __init__(self, lessons: Sequence[Lesson], random: Random) -> None:
        self._lessons = lessons
        self._random = random
        self._losses = [math.inf] * len(lessons)
        self._epoch = self._shuffled()

    def batch(self, size: int) -> list[int]:
        """Indices of the next `size` lessons, fewer when there are fewer; none twice."""
        wanted = min(size, len(self._lessons))
        worst = sorted(range(len(self._losses)), key=lambda index: -self._losses[index])[: wanted // 2]
        chosen = dict.fromkeys(worst)
        while len(chosen) < wanted:
            chosen[next(self._epoch)] = None
        return list(chosen)

    def lessons(self, chosen: Sequence[int]) -> list[Lesson]:
        return [self._lessons[index] for index in chosen]

    def saw(self, chosen: Sequence[int], losses: Sequence[float]) -> None:
        """How the lessons `chosen` went."""
        for index, loss in zip(chosen, losses, strict=True):
            self._losses[index] = loss

    def mastered(self, enough: float) -> bool:
        """Whether every lesson went better than `enough` when last seen."""
        return all(loss < enough for loss in self._losses)

    def _shuffled(self) -> Iterator[int]:
        """Indices for ever, each epoch in another order."""
        while True:
            yield from self._random.sample(range(len(self._lessons)), len(self._lessons))
