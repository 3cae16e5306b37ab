"""Combines the rows of several seeds into one: the mean of each number, and its worst value."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

WORSE_HIGH = (
    "perplexity_drift",
    "seconds_per_fact",
    "bytes_per_fact",
    "pressure",
    "seconds",
    "active_edits",
    "kl_text",
    "kl_probes",
    "kl_text_never",
    "kl_probes_never",
)  # keys for which a higher value is worse


def summary(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each number under its key, and its worst value under `<key>_worst`.

    Args:
        runs: one row a seed, with equal keys.
    """
    row: dict[str, float] = {}
    for key in runs[0]:
        values = [run[key] for run in runs]
        row[key] = mean(values)
        row[f"{key}_worst"] = max(values) if key in WORSE_HIGH else min(values)
    return row
