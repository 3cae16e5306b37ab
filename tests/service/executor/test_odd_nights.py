"""Nights of memories in odd circumstances: each ends in a report that says what happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypnogram.v1 import sleep_pb2

from benchmarks.support.tiny import WIDTH, make
from core.events import Event
from core.events.facts import Certificate
from core.events.sleep import AdapterTrained, SleepStarted
from core.evolve import fold
from core.ids import FactId
from core.method import Method
from core.state.memory import Memory, Status
from core.weights.neuron import edit
from core.weights.neuron.detectors import Detector
from service.app.store import Store, open_store
from service.rpc.sleep.report import report
from service.weights.base_models import BaseModels
from tests.golden.neurons import by_hand
from tests.prepared import Place, create, start_sleep, state_of, tell, work

ARIA, BO = ("Aria Moss", "lives in", "Rome"), ("Bo Lind", "plays", "the cello")


@pytest.fixture(scope="module")
def bases() -> BaseModels:
    return BaseModels("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base model whose profile has no phrasebook, as real models have none."""
    profile = make(tmp_path_factory.mktemp("tiny") / "base") / "hypnogram.json"
    values = json.loads(profile.read_text())
    profile.write_text(json.dumps({name: value for name, value in values.items() if name != "phrasebook"}))
    return str(profile.parent)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, bases: BaseModels, folder: str) -> Place:
    """A memory of neurons that was told of Aria."""
    place = Place(tmp_path_factory.mktemp("neurons"))
    with open_store(place.settings()) as opened, by_hand():
        create(opened, folder, method=Method.NEURON)
        tell(opened, ARIA)
        work(opened, bases)
    return place


@pytest.fixture
def told(prepared: Place, tmp_path: Path) -> Iterator[Store]:
    with open_store(prepared.copy(tmp_path / "told").settings()) as opened, by_hand():
        yield opened


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Store]:
    with open_store(Place(tmp_path / "new").settings()) as opened:
        yield opened


def night(store: Store, bases: BaseModels) -> tuple[Memory, sleep_pb2.SleepReport]:
    """Begins a night, or goes on with the one that has begun, and returns the memory after it and its report."""
    if state_of(store).sleep is None:
        start_sleep(store, 1)
    after = work(store, bases)
    log = list(store.log.read(limit=10_000))
    began = next(place for place, recorded in enumerate(log) if isinstance(recorded.event, SleepStarted))
    return after, report(fold(recorded.event for recorded in log[:began]), log[began:])


def events(store: Store) -> list[Event]:
    return [recorded.event for recorded in store.log.read(limit=10_000)]


def about(memory: Memory, triple: tuple[str, str, str]) -> FactId:
    return next(fact for fact, state in memory.facts.items() if state.fact.subject == triple[0])


def test_a_night_with_half_of_its_facts_parked_is_about_the_other_half(
    told: Store, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlike = Certificate(own=0.5, others=0.6, low=0.6, high=0.7, false_fires=0.0)
    monkeypatch.setattr(edit, "detect", lambda *_: Detector(torch.zeros(WIDTH), 0.0, 0.5, unlike))
    (bo,) = tell(told, BO)
    before = work(told, bases)
    aria = about(before, ARIA)
    assert [before.facts[fact].status for fact in (aria, bo)] == [Status.INJECTED, Status.PARKED]

    after, said = night(told, bases)

    assert said.completed
    assert [change.fact for change in said.advanced] == [aria]
    assert (said.audited, said.adapters[0].facts) == (1, 1)
    assert after.facts[bo].status is Status.PARKED


def test_facts_told_during_a_night_of_neurons_are_written_after_it(told: Store, bases: BaseModels) -> None:
    start_sleep(told, 1)
    (bo,) = tell(told, BO)

    after, said = night(told, bases)

    aria = about(after, ARIA)
    assert said.completed
    (trained,) = [event for event in events(told) if isinstance(event, AdapterTrained)]
    assert trained.facts == (aria,)
    assert [columns.fact for columns in trained.columns] == [aria]
    assert after.facts[bo].status is Status.INJECTED
    assert (after.facts[aria].scale, after.facts[bo].scale) == (0.5, 1.0)


def test_a_night_on_a_quantized_base_is_audited_and_trained_like_any(
    new: Store, bases: BaseModels, folder: str, tmp_path: Path
) -> None:
    # given a fact that may be said of namesakes, too, as the tiny model does on some processors and not on others
    base = shutil.copytree(folder, tmp_path / "base")
    profile = base / "hypnogram.json"
    profile.write_text(json.dumps(json.loads(profile.read_text()) | {"sleep": {"contamination_limit": 1.0}}))
    with by_hand():
        create(new, str(base), method=Method.NEURON, quantization="nf4")
        (aria,) = tell(new, ARIA)
        work(new, bases)

        after, said = night(new, bases)

    assert said.completed
    assert [change.fact for change in said.advanced] == [aria]
    assert said.controls_after.HasField("text_divergence")
    assert after.facts[aria].scale == 0.5


def test_a_night_of_linear_edits_trains_a_lora_and_says_so(
    new: Store, bases: BaseModels, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.executor.work.edit.unlearned", lambda facts, said: None)
    create(new, folder, method=Method.MEMIT)
    (aria,) = tell(new, ARIA)
    work(new, bases)

    after, said = night(new, bases)

    assert said.completed, said.remark
    assert said.adapters[0].facts == 1
    assert said.adapters[0].texts > 0  # LoRA rehearses
    assert [change.fact for change in (*said.advanced, *said.retreated)] == [aria]
    assert after.adapters
