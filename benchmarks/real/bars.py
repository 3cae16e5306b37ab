"""The bars that the measurements must clear, and the verdict of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

SAME = 0.005  # by which no control at the last number of facts may be worse than at the first ten
MANY = 4  # facts a person from which the second limit of a bar holds


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit of a column: the least value where `least`, else the largest; `many` where a person has four facts."""

    limit: float
    least: bool = True
    many: float | None = None
    control: bool = False

    def at(self, per_subject: int) -> float:
        return self.many if self.many is not None and per_subject >= MANY else self.limit


BARS = {
    "raw": Bar(0.97),
    "chat": Bar(0.97),
    "paraphrase_chat": Bar(0.93, many=0.90),
    "paraphrase_raw": Bar(0.90, many=0.85),
    "contamination_strangers": Bar(0.002, least=False, control=True),
    "contamination_namesakes": Bar(0.02, least=False, control=True),
    "contamination_untold": Bar(0.05, least=False, control=True),
    "known_right": Bar(0.995, control=True),
    "known_same": Bar(0.99, control=True),
    "strangers_same": Bar(0.99, control=True),
    "text_kl": Bar(0.0005, least=False, control=True),
    "perplexity": Bar(0.001, least=False, control=True),
    "false_fires": Bar(1.0, least=False),
}


def verdicts(rows: Sequence[dict[str, Any]], methods: Iterable[str]) -> list[dict[str, Any]]:
    """Returns the verdicts of `bench real`: means over seeds at the last number of facts, and the growth since 10."""
    chosen = [row for row in rows if row["method"] in methods]
    return [*judged(chosen, BARS), *(verdict for group in _groups(chosen).values() for verdict in _growth(group))]


def judged(rows: Sequence[dict[str, Any]], bars: Mapping[str, Bar]) -> list[dict[str, Any]]:
    """Returns rows `method, per_subject, bar, value, limit, verdict`: means at the last number of facts."""
    verdicts = []
    for (method, each), group in _groups(rows).items():
        for column, bar in bars.items():
            value = _mean(group, column, max(row["n"] for row in group))
            if value is not None:
                limit = bar.at(each)
                passed = value >= limit if bar.least else value <= limit
                verdicts.append(_row(method, each, column, value, limit, passed))
    return verdicts


def _groups(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Returns the rows by method and number of facts a person."""
    keys = sorted({(row["method"], row["per_subject"]) for row in rows})
    return {key: [row for row in rows if (row["method"], row["per_subject"]) == key] for key in keys}


def _growth(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns by how much each control is worse at the largest number of facts than at 10."""
    last, method, each = max(row["n"] for row in rows), rows[0]["method"], rows[0]["per_subject"]
    grown = []
    for column, bar in BARS.items():
        before, after = _mean(rows, column, 10), _mean(rows, column, last)
        if bar.control and last > 10 and before is not None and after is not None:
            worse = (before - after) if bar.least else (after - before)
            grown.append(_row(method, each, f"{column}: {last} worse than 10 by", worse, SAME, worse <= SAME))
    return grown


def _mean(rows: Sequence[dict[str, Any]], column: str, n: int) -> float | None:
    values = [row[column] for row in rows if row["n"] == n and row.get(column) is not None]
    return mean(values) if values else None


def _row(method: str, each: int, bar: str, value: float, limit: float, passed: bool) -> dict[str, Any]:
    verdict = "PASS" if passed else "MISS"
    return {"method": method, "per_subject": each, "bar": bar, "value": value, "limit": limit, "verdict": verdict}
