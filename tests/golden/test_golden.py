"""Logs of all versions there ever were are read by this one, and replay to the weights they had."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.events import EVENT_TYPES
from core.ids import MemoryId
from core.state.plan import plan
from service.app.repository import MemoryRepository
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from store.log.verify import verify_log
from tests.golden.make import GOLDEN
from tests.golden.neurons import by_hand
from tests.prepared import Place, tell, work

MORE = [("Fay Reed", "Rome"), ("Gus Hale", "Oslo"), ("Hal Dorn", "Lima"), ("Ivy Marsh", "Bonn"), ("Jo Pell", "Cork")]
VERSIONS = sorted(path.parent.name for path in GOLDEN.glob("*/log.sql"))


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Place, Any]:
    """A database restored from text, beside what it must replay to."""
    shutil.copytree(GOLDEN / request.param, tmp_path / "golden")
    place = Place(tmp_path / "golden")
    with closing(sqlite3.connect(place.folder / "hypnogram.db")) as database:
        database.executescript((place.folder / "log.sql").read_text(encoding="utf-8"))
    monkeypatch.chdir(place.folder)  # its base is a relative path
    return place, json.loads((place.folder / "expected.json").read_text())


def test_an_old_log_is_sound(golden: tuple[Place, Any]) -> None:
    place, _ = golden
    with open_store(place.settings()) as store:
        report = verify_log(store.log, store.artifacts)

    assert report.fault is None
    assert report.artifacts >= 4


def test_an_old_log_replays_to_its_digests_at_every_version(golden: tuple[Place, Any]) -> None:
    place, expected = golden
    with open_store(place.settings()) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
        for one in (expected, *expected.get("forks", ())):
            memory = MemoryId(one["memory"])
            state = MemoryRepository(store.log, store.snapshots).current(memory)

            assert (state.version, plan(state).digest) == (one["version"], one["plan"])
            for version, weights in one["weights"].items():
                found = models.replay(memory, int(version), lambda done, total, step: None, lambda: False)
                assert found.rebuilt == weights, f"version {version} of {memory}"
                assert found.recorded in (None, weights)


def test_an_old_memory_is_told_more(golden: tuple[Place, Any], bases: BaseModels) -> None:
    place, _ = golden
    with open_store(place.settings()) as store:
        told = [tell(store, (subject, "lives in", object_))[0] for subject, object_ in MORE]

        with by_hand():
            facts = work(store, bases).facts
        status = [facts[fact].status for fact in told]
        assert set(status) <= {"injected", "parked"}  # random weights do not take every object
        assert "injected" in status
        assert verify_log(store.log, store.artifacts).fault is None


def test_golden_logs_hold_every_type_of_event_there_is() -> None:
    found: set[str] = set()
    for version in VERSIONS:
        text = (GOLDEN / version / "log.sql").read_text(encoding="utf-8")
        found |= {name for name in EVENT_TYPES if f"'{name}'" in text}

    assert found == set(EVENT_TYPES), "make a golden log that holds the new ones"
