"""Rows from several seeds: the mean of each number, and the worst seed beside it."""

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
)  # where more is worse


def summary(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """`found` holds one row a seed, with equal keys."""
    row: dict[str, float] = {}
    for key in found[0]:
        values = [one[key] for one in found]
        row[key] = mean(values)
        row[f"{key}_worst"] = max(values) if key in WORSE_HIGH else min(values)
    return row
