"""Fits lines to what was sampled, with an interval that allows for samples that resemble the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan, sqrt
from statistics import fmean

BLOCKS = 16  # whose means are fitted, because single samples depend on each other
STUDENT = 2.145  # of a 95 % interval with `BLOCKS - 2` degrees of freedom


@dataclass(frozen=True, slots=True)
class Slope:
    """The slope of a line, and the ends of its 95 % confidence interval."""

    slope: float
    low: float
    high: float

    @property
    def is_above_zero(self) -> bool:
        return self.low > 0


def fit(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fits a line by least squares to the means of `BLOCKS` consecutive blocks; not a number where samples are few."""
    if len(x) < BLOCKS:
        return Slope(nan, nan, nan)
    ends = [len(x) * block // BLOCKS for block in range(BLOCKS + 1)]
    xs = [fmean(x[begin:end]) for begin, end in pairwise(ends)]
    ys = [fmean(y[begin:end]) for begin, end in pairwise(ends)]
    x_mean, y_mean = fmean(xs), fmean(ys)
    spread = sum((at - x_mean) ** 2 for at in xs)
    if not spread:
        return Slope(nan, nan, nan)
    slope = sum((at - x_mean) * (value - y_mean) for at, value in zip(xs, ys, strict=True)) / spread
    left = sum((value - y_mean - slope * (at - x_mean)) ** 2 for at, value in zip(xs, ys, strict=True))
    error = STUDENT * sqrt(left / (BLOCKS - 2) / spread)
    return Slope(slope, slope - error, slope + error)
