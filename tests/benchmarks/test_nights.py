"""`bench sleep`, `lifelong` and `gates` of a real model, on a tiny one: their rows, and what arms share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gates, lifelong, sleep
from benchmarks.faults import nights as killed
from benchmarks.real import nights
from benchmarks.support.arms import Arm, shipped
from benchmarks.support.bench_memory import BenchMemory, On, bench_memory
from benchmarks.support.place import BRIEF
from core.events.sleep import AdapterTrained
from core.evolve import fold
from core.policy import SleepPolicy, Training
from core.weights.memit.covariance import KeyCovariance
from store.artifacts import Artifacts
from tests.core.samples import ARIA, CREATED, PREPARED, added

SHORT = replace(BRIEF, training=Training(rank=4, steps=4, batch=4, rehearsal=2))


@pytest.fixture(autouse=True)
def short(cached: Path, monkeypatch: pytest.MonkeyPatch) -> list[AdapterTrained]:
    """Makes every night short, and returns the adapters that nights have trained."""
    trained: list[AdapterTrained] = []
    whole = BenchMemory.sleep

    def brief(memory: BenchMemory, policy: SleepPolicy | None = None, **options: Any) -> Any:
        training = replace(SHORT.training, rank=(policy or SHORT).training.rank)
        slept = whole(memory, replace(SHORT, training=training), **options)
        trained.extend(event for event in slept.events if isinstance(event, AdapterTrained))
        return slept

    monkeypatch.setattr(BenchMemory, "sleep", brief)
    return trained


def test_each_arm_begins_with_the_same_told_facts(folder: Path, short: list[AdapterTrained]) -> None:
    *_, document = sleep.run(facts=(2,), cycles=2, seeds=1, model=str(folder), arms=("values", "adapter"), quick=True)

    rows = {(row["method"], row["cycle"]): row for row in document["rows"]}
    assert list(rows) == [("told", 0), ("values", 1), ("values", 2), ("adapter", 1), ("adapter", 2)]
    assert len({row["parked"] for row in rows.values()}) == 1
    assert {"chat", "alone_chat", "contamination_untold", "text_kl", "seconds_training"} <= set(rows["values", 2])
    assert rows["values", 1]["columns"] >= rows["told", 0]["columns"]
    assert {verdict["method"] for verdict in document["bars"]} == {"values", "adapter"}


def test_a_lora_is_trained_where_an_arm_asks_for_it(folder: Path, short: list[AdapterTrained]) -> None:
    list(sleep.run(facts=(2,), cycles=1, seeds=1, model=str(folder), arms=("adapter",), quick=True))

    assert [(adapter.columns, adapter.rank) for adapter in short] == [((), 8)]


def test_a_lora_beside_neurons_begins_with_a_covariance_of_keys(folder: Path, tmp_path: Path) -> None:
    with bench_memory({}, tmp_path / "memory", On(str(folder), method="neuron")) as memory:
        before = memory.state
        given = memory.with_keys().statistics

        assert before.statistics is not None
        assert before.statistics.detectors is not None
        assert given is not None
        assert given == replace(before.statistics, artifact=given.artifact)
        known = KeyCovariance.from_bytes(Artifacts(tmp_path / "memory" / "artifacts").get(given.artifact))
        assert set(known.moments) == set(memory.model.modules)


def test_finished_arms_of_a_killed_run_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arm(name: str) -> Arm:
        return Arm(name, shipped)

    def measuring() -> Iterator[dict[str, Any]]:
        return nights.run("sleep", On(str(folder)), [2], 1, 1, [arm("a"), arm("b")], True, lambda *_: None)

    stopped = measuring()
    first = [next(stopped) for _ in range(3)][-1]["rows"]  # told, `a`, and the night of `b` that is not kept
    monkeypatch.setattr(nights, "_told", lambda *_: pytest.fail("told again"))

    *_, document = measuring()

    assert document["rows"][:2] == first[:2]
    assert [row["method"] for row in document["rows"]] == ["told", "a", "b"]


def test_a_killed_night_ends_as_an_unkilled_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killed, "LONGEST_LIFE", 1.0)

    *_, tally = killed.killed_nights(tmp_path / "faults", 4, str(folder))

    assert (tally.tried, tally.survived, tally.lost, tally.why) == (4, 4, 0, "")
    assert tally.extra
    assert tally.extra["nights"] >= 1


def test_a_night_that_ends_otherwise_than_an_unkilled_one_is_a_loss() -> None:
    state = fold((CREATED, PREPARED, added(ARIA)))

    assert killed._differences(state, killed.stages(state)) == []
    (loss,) = killed._differences(state, {ARIA.id: ("dissolved", 3, 0.0, True)})
    assert ARIA.id in loss


def test_days_are_measured_one_by_one(folder: Path) -> None:
    *_, document = lifelong.run(nights=2, facts_per_night=2, seeds=1, model=str(folder), quick=True)

    assert [(row["night"], row["n"]) for row in document["rows"]] == [(1, 2), (2, 4)]
    assert document["rows"][1]["bytes"] > document["rows"][0]["bytes"]
    assert {"oldest_minus_newest", "columns_per_fact", "seconds_a_fact"} <= set(document["rows"][1])


def test_parts_of_nights_are_left_out_one_at_a_time(folder: Path) -> None:
    *_, document = gates.run(facts=2, cycles=1, seeds=1, model=str(folder), quick=True)

    names = ["told", "shipped", "whole edit", "every fact advances", "one training", "ten steps a fact"]
    assert [row["method"] for row in document["rows"]] == names
