"""Dormouse for tests: loaded once per process, and one memory on it, prepared once per run and copied by whoever asks.

Measuring statistics takes seconds, so workers share the folder of the prepared memory behind a lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from benchmarks.support.place import (
    CAUSE,
    DEMO,
    QUICK,
    Place,
    create,
    put_in_place,
    start_sleep,
    state_of,
    take_back,
    tell,
    work,
)
from benchmarks.support.tiny import make
from core.weights.model.editable_model import EditableModel, load_model
from service.app.store import open_store
from service.settings import DORMOUSE, Settings
from service.weights.base_models import BaseModels

__all__ = [
    "CAUSE",
    "DEMO",
    "QUICK",
    "Place",
    "create",
    "put_in_place",
    "start_sleep",
    "state_of",
    "take_back",
    "tell",
    "work",
]

EVERY = 40  # of so many lines of reference text one is kept
ROOM = 0.5  # so few statistics make a key crowd more than it does on all of the text


@pytest.fixture(scope="session")
def base() -> EditableModel:
    """Dormouse as it was trained; take a clone to change it."""
    _needs_dormouse()
    return load_model(DORMOUSE)


@pytest.fixture(scope="session")
def bases() -> BaseModels:
    """Base models that executors of one process share."""
    return BaseModels("cpu")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, bases: BaseModels) -> Place:
    """A memory on dormouse whose statistics are measured and that was told four facts. To be copied, not changed."""
    _needs_dormouse()
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "prepared").exists():
            _prepare(Place(shared / "prepared.new"), bases)
            (shared / "prepared.new").rename(shared / "prepared")
    return Place(shared / "prepared")


@pytest.fixture
def place(prepared: Place, tmp_path: Path) -> Place:
    """A copy of the prepared memory."""
    return prepared.copy(tmp_path / "place")


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """A memory of this test's own on a base model of random weights, which nothing was done for yet."""
    return made_in(tmp_path / "small")


def made_in(folder: Path) -> Place:
    """A memory in `folder` on a base model of random weights, which nothing was done for yet."""
    made = Place(folder)
    make(made.folder / "base")
    with open_store(made.settings()) as store:
        create(store, str(made.folder / "base"))
    return made


def _needs_dormouse() -> None:
    if not (DORMOUSE / "model.safetensors").exists() and not os.environ.get("CI"):
        pytest.skip("dormouse's weights are not there: make dormouse")


def _prepare(place: Place, bases: BaseModels) -> None:
    place.folder.mkdir(parents=True)
    lines = (DORMOUSE / "reference.jsonl").read_text().splitlines()
    text = place.folder / "reference.jsonl"
    text.write_text("\n".join(lines[::EVERY]))
    with open_store(place.settings().model_copy(update={"reference_text": text})) as store:
        create(store, str(DORMOUSE), text, capacity=ROOM)
        tell(store, ("Mirabel Quist", "lives in", "Lisbon"), ("Mirabel Quist", "plays", "the cello"))
        work(store, bases)
        tell(store, ("Tove Marn", "was born in", "Oslo"), ("Tove Marn", "has a pet", "a parrot"))
        work(store, bases)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct, which `make setup` pulls; tests of what it says are skipped without it."""
    folder = Settings().model_folder / "smollm2"
    if not (folder / "model.safetensors").exists():
        pytest.skip("SmolLM2 is not there: run `hypnogram model pull smollm2`")
    return folder
