"""kill -9 at any moment of a sleep: it resumes at the step it had reached and ends as an unkilled one does.

The base model is one of random weights, as in `test_crash.py`. An unkilled sleep with the same seed says how each night
should end: the same facts at the same stages, scales and verdicts. Edits do not look at the keys of earlier facts here,
because an executor that resumes measures those anew, on weights that have moved since.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from random import Random

import pytest

from benchmarks.faults.nights import finish, stages, unkilled_night
from benchmarks.support.place import BRIEF
from benchmarks.support.processes import ask, line_of, process
from benchmarks.support.tiny import make
from core.ids import FactId
from service.app.store import open_store
from service.weights.base_models import BaseModels
from tests.prepared import Place, create, start_sleep, state_of, tell, work
from tests.service.executor.test_crash import check

KILLS = 50
LONGEST_LIFE = 0.4  # seconds; adapts, so that about half the lives reach another event


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """A memory whose next edit follows from its log alone."""
    place = Place(tmp_path / "small")
    make(place.folder / "base")
    with open_store(place.settings()) as store:
        create(store, str(place.folder / "base"), history=False)
    return place


def test_a_killed_sleep_resumes_and_ends_as_an_unkilled_one(small: Place, bases: BaseModels, tmp_path: Path) -> None:
    with open_store(small.settings()) as store:
        told: set[str] = set(tell(store, *((f"Aria Number{number}", "lives in", "Rome") for number in range(2))))
        work(store, bases)
    unkilled, killed = small.copy(tmp_path / "unkilled"), small.copy(tmp_path / "killed")
    seed = int(os.environ.get("HYPNOGRAM_TEST_SEED", "0")) or time.time_ns() % 10**6
    sys.stdout.write(f"HYPNOGRAM_TEST_SEED={seed} repeats the moments of these kills\n")
    random, longest = Random(seed), LONGEST_LIFE
    nights = fruitful = midway = 0
    expected: dict[FactId, tuple[object, ...]] = {}
    with process("benchmarks.faults.nursery", str(small.folder)) as nursery:
        assert line_of(nursery) == "ready"
        for _ in range(KILLS):
            with open_store(killed.settings()) as store:
                before = state_of(store)
                if before.sleep is None:
                    assert not nights or stages(before) == expected
                    expected = unkilled_night(unkilled, nursery, nights)
                    start_sleep(store, nights, BRIEF)
                    nights += 1
                    before = state_of(store)
            ask(nursery, f"executing {killed.folder} 0 {random.uniform(0, longest):.4f} 0 0")
            assert line_of(nursery) == "killed"
            with open_store(killed.settings()) as store:
                state = check(store, bases, told)
            fruitful += state.version > before.version
            midway += state.sleep is not None and state.version > before.version
            longest *= 0.9 if state.version > before.version else 1.1
        finish(killed, nursery)
        with open_store(killed.settings()) as store:
            after = check(store, bases, told)

    sys.stdout.write(f"{nights} nights, {fruitful} lives that added an event, {midway} kills with a sleep half done\n")
    assert stages(after) == expected
    assert all(night.completed for night in after.nights.values())
    assert midway > KILLS // 10  # or the kills came too early, or too late, to mean anything


def test_an_unkilled_sleep_of_the_same_seed_is_the_same_night(small: Place, bases: BaseModels, tmp_path: Path) -> None:
    """Or the test above would compare nothing."""
    with open_store(small.settings()) as store:
        tell(store, *((f"Aria Number{number}", "lives in", "Rome") for number in range(2)))
        work(store, bases)
    one, other = small.copy(tmp_path / "one"), small.copy(tmp_path / "other")
    found = []
    for place in (one, other):
        with open_store(place.settings()) as store:
            start_sleep(store, 7, BRIEF)
            found.append(work(store, bases))

    assert found[0].weights == found[1].weights
    assert stages(found[0]) == stages(found[1])
