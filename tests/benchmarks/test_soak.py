"""`bench soak` for moments: what it counts, samples and verifies, and what its bars say."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak.run import run, verdicts
from benchmarks.soak.samples import look
from benchmarks.soak.slopes import BLOCKS, fit
from benchmarks.soak.tally import Broken, Tally
from benchmarks.support.processes import line_of, process
from hypnogram.client import CallFailed

SLOPES = {"an_hour": 1.0, "an_hour_low": 0.5, "an_hour_high": 1.5}


def row(measure: str, unit: str, begin: float, end: float, slope: float = 0.0, low: float = 0.0) -> dict[str, Any]:
    ends = {"begin": begin, "end": end, "a_thousand": slope, "a_thousand_low": low, "a_thousand_high": slope}
    return {"of": "server", "measure": measure, "unit": unit} | ends | SLOPES


def test_clients_use_a_server_which_is_sampled_and_whose_memories_are_verified() -> None:
    pytest.importorskip("uvicorn", reason="the HTTP port needs the extra `web`")

    *_, document = run(minutes=0.05, clients=2, life=5)

    assert document["errors"] == []
    ended = {row["operation"]: row["number"] for row in document["operations"]}
    assert ended["create"] >= 2
    assert ended["settle"] == ended["check"] >= 2
    rows = {(row["of"], row["measure"]): row for row in document["rows"]}
    assert all(rows[of, "RSS"]["end"] > 50 for of in ("server", "executor"))
    assert all(rows[of, "open files"]["end"] > 3 for of in ("server", "executor"))
    assert rows["disk", "WAL"]["end"] > 0
    counted = [f"server, {what}, more at the end" for what in ("open files", "threads", "child processes")]
    assert set(counted) < {bar["bar"] for bar in document["bars"]}


def test_a_slope_is_that_of_the_line_and_its_interval_tells_growth_from_noise() -> None:
    times = [float(number) for number in range(160)]
    noise = [(number * 7919) % 13 - 6.0 for number in range(160)]

    grown = fit(times, [100 + 0.5 * at + each for at, each in zip(times, noise, strict=True)])
    flat = fit(times, [100 + each for each in noise])

    assert grown.low < 0.5 < grown.high
    assert grown.slope == pytest.approx(0.5, abs=0.02)
    assert grown.low > 0
    assert flat.low < 0 < flat.high


def test_few_samples_and_samples_at_the_same_place_have_no_slope() -> None:
    few = fit([1.0] * (BLOCKS - 1), [1.0] * (BLOCKS - 1))
    standing = fit([1.0] * BLOCKS, [1.0] * BLOCKS)

    assert isnan(few.slope)
    assert isnan(standing.slope)


def test_bars_miss_where_memory_or_files_grow_or_anything_fails() -> None:
    rows = [
        row("RSS", "MiB", 100, 200, slope=5.0, low=4.0),
        row("RSS", "MiB", 100, 100.5, slope=5.0, low=-1.0),
        row("RSS", "MiB", 100, 100.5, slope=0.01, low=0.005),
        row("RSS, anonymous", "MiB", 100, 900),
        row("open files", "", 20, 24),
        row("threads", "", 20, 21),
    ]

    bars = verdicts(rows, [{"error": "chat: UNAVAILABLE", "number": 2}])

    assert [(bar["value"], bar["verdict"]) for bar in bars] == [
        (5.0, "MISS"),
        (5.0, "PASS"),
        (0.01, "PASS"),
        (4, "MISS"),
        (1, "PASS"),
        (2, "MISS"),
    ]


def test_a_failed_operation_is_counted_by_its_reason_and_raises_nothing() -> None:
    tally = Tally()

    def fails(error: Exception) -> None:
        raise error

    tally.time("chat", lambda: fails(CallFailed("NOT_FOUND", "it is gone", "MEMORY_UNKNOWN")))
    tally.time("page", lambda: fails(Broken("status 500")))
    assert tally.time("list", lambda: 3) == 3

    taken = tally.taken()
    assert taken["errors"] == {"chat: NOT_FOUND MEMORY_UNKNOWN it is gone": 1, "page: Broken status 500": 1}
    assert list(taken["seconds"]) == ["list"]
    assert tally.taken() == {"seconds": {}, "errors": {}}


def test_a_process_is_seen_with_its_files_and_threads_and_children(tmp_path: Path) -> None:
    with process("tests.benchmarks.holder", str(tmp_path / "held")) as holder:
        assert line_of(holder) == "holds"

        values = look({"it": holder.pid}, tmp_path, 0.0, 7).values

    assert values["it", "threads"] == 4
    assert values["it", "child processes"] == 1
    assert values["it", "open files"] >= 10
    assert values["it", "RSS"] > 5
    assert values["disk", "database"] == 0
