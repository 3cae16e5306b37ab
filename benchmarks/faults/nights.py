"""Kills processes with -9 in nights on a real model; unkilled nights of the same seeds say how these should end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from subprocess import Popen

from benchmarks.faults.kills import nursery, unsound
from benchmarks.faults.tally import Tally
from benchmarks.support.place import BRIEF, Place, create, start_sleep, state_of, tell, work
from benchmarks.support.processes import ask, line_of
from core.ids import FactId
from core.state.memory import Memory
from service.app.store import open_store
from service.settings import cache_home
from service.weights.base_models import BaseModels

FACTS = (("Torvald Ekberg", "plays", "the cello"), ("Wilma Ekberg", "works as", "a baker"))
LONGEST_LIFE = 60.0  # seconds; adapts, so that about half the processes append an event
LONGEST_NIGHT = 7200.0  # seconds


def killed_nights(folder: Path, number: int, model: str) -> Iterator[Tally]:
    """Yields the tally after each of `number` kills, and once the last night has ended."""
    bases = BaseModels("cpu")
    killed = _told(folder / "killed", bases, model)
    unkilled = killed.copy(folder / "unkilled")
    tally = Tally(f"kill -9 in nights on {model}", number, extra={"nights": 0, "fruitful": 0, "midway": 0})
    assert tally.extra is not None
    random, longest, expected = Random(number), LONGEST_LIFE, dict[FactId, tuple[object, ...]]()
    with nursery(killed) as process:
        while tally.tried < number:
            with open_store(killed.settings()) as store:
                before = state_of(store)
                if before.sleep is None:
                    tally.lose(_differences(before, expected))
                    expected = unkilled_night(unkilled, process, tally.extra["nights"])
                    start_sleep(store, tally.extra["nights"], BRIEF)
                    tally.extra["nights"] += 1
                    before = state_of(store)
            ask(process, f"executing {killed.folder} 0 {random.uniform(0, longest):.4f} 0 0")
            assert line_of(process) == "killed"
            with open_store(killed.settings()) as store:
                after = state_of(store)
                tally.add(unsound(store, bases))
            fruitful = after.version > before.version
            tally.extra["fruitful"] += fruitful
            tally.extra["midway"] += fruitful and after.sleep is not None
            longest *= 0.8 if fruitful else 1.3
            yield tally
        finish(killed, process)
    with open_store(killed.settings()) as store:
        tally.lose([*unsound(store, bases), *_differences(state_of(store), expected)])
    yield tally


def _told(folder: Path, bases: BaseModels, model: str) -> Place:
    """Returns the place of a memory that was told facts; what was prepared for other memories serves it, too."""
    place, prepared = Place(folder), cache_home() / "bench" / "prepared"
    folder.mkdir(parents=True)
    if prepared.exists():
        shutil.copytree(prepared, place.settings().artifact_folder)
    with open_store(place.settings()) as store:
        create(store, model)
        for fact in FACTS:
            tell(store, fact)
        work(store, bases)
    return place


def unkilled_night(place: Place, process: Popen[str], seed: int) -> dict[FactId, tuple[object, ...]]:
    """Returns how a night ends in which nothing is killed."""
    with open_store(place.settings()) as store:
        start_sleep(store, seed, BRIEF)
    finish(place, process)
    with open_store(place.settings()) as store:
        return stages(state_of(store))


def finish(place: Place, process: Popen[str]) -> None:
    """Goes on with a night until it has ended, in the same kind of process as those that are killed."""
    ask(process, f"finishing {place.folder} 0 {LONGEST_NIGHT} 0 0")
    assert line_of(process) == "ended 0"  # by itself
    assert line_of(process) == "killed"


def stages(state: Memory) -> dict[FactId, tuple[object, ...]]:
    """Returns how far each fact has come. Edits are left out: a refresh that is done again names its edit anew."""
    return {fact: (told.status, told.stage, told.scale, told.healthy) for fact, told in state.facts.items()}


def _differences(state: Memory, expected: dict[FactId, tuple[object, ...]]) -> list[str]:
    """Returns which facts are at other stages than after the unkilled night; of no night, none are."""
    reached = stages(state)
    return [
        f"fact {fact} is {reached.get(fact)} after the night and {end} without kills"
        for fact, end in expected.items()
        if reached.get(fact) != end
    ]
