"""`bench serve` on a tiny model: what it measures, and what its bars say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.serve.calls import percentile
from benchmarks.serve.run import run, verdicts
from benchmarks.support.tiny import make


def row(measure: str, memories: int, streams: int, value: float, unit: str = "tokens/s") -> dict[str, Any]:
    return {"measure": measure, "memories": memories, "streams": streams, "value": value, "unit": unit}


def test_a_server_is_measured_in_chats_in_calls_and_in_what_memories_cost(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="the HTTP port needs the extra `web`")
    base = make(tmp_path / "base")

    *_, document = run(
        model=str(base), streams=(1, 2), memories=(1, 2), clients=2, sizes=(2,), tokens=2, seconds=0.1, calls=2,
        quiet=0.1,
    )  # fmt: skip

    found = {(row["measure"], row["memories"], row["streams"]): row["value"] for row in document["rows"]}
    assert all(found["plain generation", 0, streams] > 0 for streams in (1, 2))
    assert all(found["chat", memories, streams] > 0 for memories in (1, 2) for streams in (1, 2))
    assert all(0 < found[f"{call}, p50", 2, 2] <= found[f"{call}, p99", 2, 2] for call in ("GetFact", "AddFacts"))
    assert found["RSS, idle", 2, 0] > 50
    assert found["seconds to SERVING", 2, 0] > 0
    assert {"GET /v1/models, first", "GET /metrics, second", "CPU, idle"} <= {name for name, *_ in found}
    assert [bar["bar"].partition(",")[0] for bar in document["bars"]] == [
        "one stream",
        "one stream",
        "seconds to SERVING",
    ]


def test_bars_compare_one_stream_with_plain_generation_and_eight_with_one() -> None:
    rows = [
        row("plain generation", 0, 1, 10.0),
        row("chat", 1, 1, 9.6),
        row("chat", 1, 8, 20.0),
        row("chat", 1, 1, 1.0, "answers/s"),
        row("seconds to SERVING", 1, 0, 2.0, "s"),
        row("seconds to SERVING", 100, 0, 11.0, "s"),
    ]

    assert [(bar["value"], bar["limit"], bar["verdict"]) for bar in verdicts(rows)] == [
        (0.96, 0.95, "PASS"),
        (20.0 / 9.6, 3.0, "MISS"),
        (11.0, 10.0, "MISS"),
    ]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(number) for number in range(100)], 0.99) == 99.0
    assert percentile([5.0], 0.99) == 5.0
