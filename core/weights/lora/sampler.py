"""Draws training examples: half of a batch in the order of the epoch, half those with the largest loss when last seen.

Most facts are learned in a few visits and a handful takes many. Without the second half training would spend its time
on what is learned already, and a mean loss would hide what is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Generic, TypeVar

Example = TypeVar("Example")


class HardExampleSampler(Generic[Example]):
    """Examples, and the loss of each when it was last seen; infinite before."""

    def __init__(self, examples: Sequence[Example], random: Random) -> None:
        self._examples = examples
        self._random = random
        self._losses = [math.inf] * len(examples)
        self._epoch = self._shuffled()

    def batch(self, size: int) -> list[int]:
        """Returns the indices of the next `size` examples, fewer when there are fewer; none twice."""
        wanted = min(size, len(self._examples))
        worst = sorted(range(len(self._losses)), key=lambda index: -self._losses[index])[: wanted // 2]
        chosen = dict.fromkeys(worst)
        while len(chosen) < wanted:
            chosen[next(self._epoch)] = None
        return list(chosen)

    def examples(self, chosen: Sequence[int]) -> list[Example]:
        """Returns the examples of the indices `chosen`."""
        return [self._examples[index] for index in chosen]

    def record(self, chosen: Sequence[int], losses: Sequence[float]) -> None:
        """Keeps the losses of the examples `chosen`."""
        for index, loss in zip(chosen, losses, strict=True):
            self._losses[index] = loss

    def mastered(self, enough: float) -> bool:
        """Returns whether every example had a loss below `enough` when last seen."""
        return all(loss < enough for loss in self._losses)

    def _shuffled(self) -> Iterator[int]:
        """Yields indices without end, each epoch in another order."""
        while True:
            yield from self._random.sample(range(len(self._examples)), len(self._examples))
