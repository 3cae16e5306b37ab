"""Statistics are measured once for all memories that have the same ones, and not at all where dormouse brings them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.support.tiny import make
from core.events.memory import MemoryCreated
from core.ids import Digest, MemoryId
from core.method import Method
from core.weights.memit.covariance import key_of, measure
from core.weights.memit.packed import unpack
from core.weights.neuron.decoys import Decoys
from core.weights.neuron.negatives import Negatives
from service.app.store import Store, open_store
from service.settings import DORMOUSE
from service.weights import statistics
from service.weights.base_models import BaseModels
from tests.databases import own_opens
from tests.prepared import DEMO, Place, create, state_of, work

OTHER = MemoryId("other")


@pytest.fixture
def store(small: Place) -> Iterator[Store]:
    with open_store(small.settings()) as store:
        yield store


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of sequences at each measuring."""
    calls: list[int] = []

    def counted(subject, text, *given):  # type: ignore[no-untyped-def]
        calls.append(len(text.whole))
        return measure(subject, text, *given)

    monkeypatch.setattr(statistics, "measure", counted)
    return calls


def again(store: Store, bases: BaseModels, model: Path, **overrides: Any) -> None:
    """Another memory on the same base is created and prepared."""
    create(store, str(model), memory=OTHER, **overrides)
    work(store, bases, memory=OTHER)


def test_a_second_memory_on_a_base_has_the_statistics_of_the_first(
    store: Store, small: Place, bases: BaseModels, measured: list[int]
) -> None:
    work(store, bases)

    again(store, bases, small.folder / "base")

    assert len(measured) == 1
    assert state_of(store, OTHER).statistics == state_of(store, DEMO).statistics


def test_another_weight_of_the_moments_is_measured_anew(
    store: Store, small: Place, bases: BaseModels, measured: list[int]
) -> None:
    work(store, bases)

    again(store, bases, small.folder / "base", reference_weight=0.5)

    assert len(measured) == 2
    assert state_of(store, OTHER).statistics != state_of(store, DEMO).statistics


@pytest.mark.parametrize("harm", ["lost", "damaged", "entry"])
def test_what_is_no_longer_there_is_measured_anew(
    store: Store, small: Place, bases: BaseModels, measured: list[int], harm: str
) -> None:
    work(store, bases)
    prepared = state_of(store).statistics
    assert prepared is not None
    match harm:
        case "lost":
            store.artifacts.path(prepared.artifact).unlink()
        case "damaged":
            store.artifacts.path(prepared.artifact).write_bytes(b"something else")
        case "entry":
            for entry in (store.artifacts.folder / "measured").iterdir():
                entry.write_bytes(b"\xff no digest")

    again(store, bases, small.folder / "base")

    assert len(measured) == 2
    assert store.artifacts.get(prepared.artifact)


def test_every_part_of_the_key_counts(store: Store) -> None:
    created = state_of(store).created
    assert created is not None
    base, options = created.base, created.hyperparameters
    others = [
        replace(created, base=replace(base, digest=Digest("other"))),
        replace(created, base=replace(base, dtype="float16")),
        replace(created, base=replace(base, quantization="int8")),
        replace(created, modules=created.modules[:1]),
        replace(created, reference_text=Digest("other")),
        replace(created, hyperparameters=replace(options, reference_weight=1.5)),
        replace(created, hyperparameters=replace(options, abstention_weight=1.5)),
        replace(created, hyperparameters=replace(options, recall_weight=1.5)),
    ]
    same = [replace(created, seed=5, hyperparameters=replace(options, steps=3), base=replace(base, name="elsewhere"))]

    keys = {key_of(one, one.reference_text) for one in (created, *others)}
    assert len(keys) == 1 + len(others)
    assert {key_of(one, one.reference_text) for one in same} <= keys


def test_dormouse_brings_its_own(tmp_path: Path, bases: BaseModels, measured: list[int]) -> None:
    """Fails when a file of dormouse, a hyperparameter or the measure has changed: see models/dormouse/statistics.py."""
    place = Place(tmp_path)
    with open_store(place.settings()) as store:
        create(store, str(DORMOUSE))
        created = state_of(store).created
        assert created is not None

        prepared = statistics.prepare(
            bases.clone(created), created, created.reference_text, store.artifacts, lambda done, total: None
        )

    assert measured == []
    packed = unpack(statistics.shipped(key_of(created, created.reference_text)).read_bytes())
    assert prepared.artifact == hashlib.sha256(packed.to_bytes()).hexdigest()
    assert prepared.tokens == packed.tokens > 10_000
    assert set(packed.moments) == set(created.modules)


def test_a_further_memory_of_neurons_reads_what_was_measured_no_more(tmp_path: Path, bases: BaseModels) -> None:
    # given a base model that was measured for a memory
    model, third = make(tmp_path / "tiny" / "base"), MemoryId("third")
    with open_store(Place(tmp_path / "neurons").settings()) as store:
        create(store, str(model), method=Method.NEURON)
        work(store, bases)
        first = state_of(store).statistics
        assert first is not None
        assert first.detectors is not None

        # when there is another one, then it has the same, and opens neither artifact
        create(store, str(model), memory=OTHER, method=Method.NEURON)
        with own_opens() as opens:
            work(store, bases, memory=OTHER)
        assert state_of(store, OTHER).statistics == first
        assert not {first.artifact, first.detectors.artifact} & {Path(file).name for file in opens}

        # when one of them is lost, then the next memory measures it anew
        store.artifacts.path(first.artifact).unlink()
        create(store, str(model), memory=third, method=Method.NEURON)
        work(store, bases, memory=third)
        assert state_of(store, third).statistics == first
        assert store.artifacts.exists(first.artifact)


def test_decoys_that_ship_for_a_base_are_not_measured(
    tmp_path: Path, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a base model whose decoys ship with the project
    monkeypatch.setattr(statistics, "SMOLLM2", tmp_path)
    model = make(tmp_path / "tiny" / "base")
    created, known = prepared_above(tmp_path / "measured", model, bases)
    packed = Decoys(known.decoys, known.asked + 1, known.held_asked)
    statistics.shipped_decoys(created.base).write_bytes(packed.to_bytes())

    # when a memory is prepared elsewhere, then they are its own
    monkeypatch.setattr(statistics, "measure_decoys", None)
    assert torch.equal(prepared_above(tmp_path / "elsewhere", model, bases)[1].asked, known.asked + 1)

    # and they are those of no other model, nor of a quantized one
    shipped = statistics.shipped_decoys(created.base)
    for other in (replace(created.base, digest=Digest("0" * 64)), replace(created.base, quantization="nf4")):
        assert statistics.shipped_decoys(other) != shipped


def prepared_above(folder: Path, model: Path, bases: BaseModels) -> tuple[MemoryCreated, Negatives]:
    """Returns a memory of neurons that was prepared, and what its detectors of facts are computed against."""
    with open_store(Place(folder).settings()) as store:
        create(store, str(model), method=Method.NEURON)
        work(store, bases)
        state = state_of(store)
        assert state.created is not None
        assert state.statistics is not None
        assert state.statistics.upper is not None
        return state.created, Negatives.from_bytes(store.artifacts.get(state.statistics.upper.artifact))
