"""Kills processes with -9: at random moments, after an erasure beside a second process, and by a wrong clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from subprocess import Popen

from benchmarks.faults.tally import Tally
from benchmarks.support.place import DEMO, Place, create, state_of, tell, work
from benchmarks.support.processes import ask, line_of, process
from benchmarks.support.tiny import make
from core.errors.base import HypnogramError
from core.events.history import CheckpointMarked
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.plan import plan
from core.state.work import next_work
from core.weights.deltas.digest import weights_digest
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build
from store.archive.exporting import export_archive
from store.log.verify import verify_log

KILLED = ("telling", "sleeping", "erasing", "importing")  # activities of the nursery
LIVES = 10  # processes killed on a memory before a fresh copy is used, so that no log grows long
FACTS = 8  # facts of a memory before the first kill; number of archives to import
LONGEST_LIFE = 0.3  # seconds; adapts, so that about half the processes append an event
APPENDED = 5  # events after a second process has closed the database
HOUR = 3600.0
JUMPS = tuple(sign * seconds for seconds in (60.0, HOUR, 24 * HOUR, 3650 * 24 * HOUR) for sign in (-1, 1))
PATIENCE = 30.0  # seconds by which a wrong clock may delay work


def kills_(folder: Path, number: int) -> Iterator[Tally]:
    """Divides `number` kills among the activities; a row for each."""
    bases = BaseModels("cpu")
    told, arriving = prepared(folder / "told", bases), archived(folder / "arriving", bases)
    random = Random(number)
    with nursery(told) as process:
        for nth, activity in enumerate(KILLED):
            kills = number // len(KILLED) + (nth < number % len(KILLED))
            start = arriving if activity == "importing" else told
            yield from Killing(process, bases, random, start).run(activity, kills, folder)


def second_(folder: Path, number: int) -> Iterator[Tally]:
    """A process erases and goes on; a second one opens and closes the database; then the first is killed."""
    tally = Tally("second process after an erasure, then kill -9", number)
    start = Place(folder / "start")
    make(start.folder / "base")
    with open_store(start.settings()) as store:
        create(store, str(start.folder / "base"))
    for nth in range(number):
        place = start.copy(folder / f"place-{nth}")
        with process("benchmarks.faults.eraser", place.settings().database_url, DEMO) as first:
            assert line_of(first) == "erased"
            with open_store(place.settings()) as store:  # as the second
                verify_log(store.log, store.artifacts)
            for _ in range(APPENDED):
                ask(first, "append")
                assert line_of(first) == "durable"
        tally.add(_unless_refused(place, _appended))
        shutil.rmtree(place.folder)
        yield tally


def clocks(folder: Path) -> Iterator[Tally]:
    """Kills a process that holds a lease by a wrong clock; the next one, by the right clock, must not be delayed."""
    bases = BaseModels("cpu")
    told, random = prepared(folder / "told", bases), Random(1)
    tally = Tally("clock jumps, forth and back, then kill -9", len(JUMPS))
    with nursery(told) as process:
        killing = Killing(process, bases, random, told)
        for nth, jump in enumerate(JUMPS):
            killing.begin(folder / f"jump-{nth}")
            losses = [*killing.kill("telling", 0.5, jump), *killing.kill("telling", 0.5)]
            began = time.monotonic()
            losses += killing.settle("telling")
            if time.monotonic() - began > PATIENCE:
                losses.append(f"a clock that was wrong by {jump:g} seconds delayed work by more than {PATIENCE:g}")
            tally.add(losses)
            yield tally


class Killing:
    """A memory on which processes are killed one after the other, and what they have acknowledged."""

    def __init__(self, nursery: Popen[str], bases: BaseModels, random: Random, start: Place) -> None:
        self._nursery, self._bases, self._random, self._start = nursery, bases, random, start
        self._place = start
        self._acknowledged: set[str] = set()
        self._position = self._lives = 0

    def run(self, activity: str, number: int, folder: Path) -> Iterator[Tally]:
        tally = Tally(f"kill -9 while {activity}", number, extra={"acknowledged": 0, "fruitful": 0})
        assert tally.extra is not None
        longest = LONGEST_LIFE
        for nth in range(number):
            if nth % LIVES == 0:
                self.begin(folder / f"{activity}-{nth}")
            known, position = len(self._acknowledged), self._position
            losses = self.kill(activity, self._random.uniform(0, longest))
            longest *= 0.8 if self._position > position else 1.3
            if nth % LIVES == LIVES - 1 or nth == number - 1:
                losses += self.settle(activity)
            tally.extra["acknowledged"] += len(self._acknowledged) - known
            tally.extra["fruitful"] += self._position > position
            tally.add(losses)
            yield tally

    def begin(self, folder: Path) -> None:
        """Continues with a fresh copy, in `folder`, of the memory before the first kill."""
        if self._place is not self._start:
            shutil.rmtree(self._place.folder)
        self._place = self._start.copy(folder)
        self._acknowledged.clear()
        with open_store(self._place.settings()) as store:
            self._position = store.log.position()

    def kill(self, activity: str, seconds: float, wrong: float = 0.0) -> list[str]:
        """Runs a process for `seconds` and kills it; returns the losses."""
        self._lives += 1
        ask(self._nursery, f"{activity} {self._place.folder} {self._lives} {seconds:.4f} 2 {wrong}")
        losses: list[str] = []
        while (line := line_of(self._nursery)) != "killed":
            what, _, name = line.partition(" ")
            if what == "ended":
                losses.append(f"a process that was {activity} ended by itself, with {name}")
            else:
                self._acknowledged.add(name)
        return losses + _unless_refused(self._place, lambda store: self._losses(store, activity))

    def settle(self, activity: str) -> list[str]:
        """Performs the pending work; returns the losses."""

        def settled(store: Store) -> Iterator[str]:
            for memory in store.log.memories():
                if next_work(state_of(store, memory)) is not None:
                    work(store, self._bases, memory=memory)
            yield from self._losses(store, activity)
            if activity == "erasing":
                yield from self._words_left(state_of(store))

        return _unless_refused(self._place, settled)

    def _losses(self, store: Store, activity: str) -> Iterator[str]:
        self._position = store.log.position()
        yield from unsound(store, self._bases)
        there = _acknowledged(store, activity)
        yield from (f"{name} was acknowledged and is lost" for name in sorted(self._acknowledged - there))

    def _words_left(self, state: Memory) -> Iterator[str]:
        erased = [f"Gone Number{nth}x" for nth, fact in enumerate(state.facts.values()) if fact.erased]
        if len(erased) < len(self._acknowledged):
            yield "an erasure that was acknowledged was not done"
        files = [file.read_bytes() for file in self._place.folder.rglob("*") if file.is_file()]
        yield from (
            f"{word} was erased and is there" for word in erased if any(word.encode() in file for file in files)
        )


def _acknowledged(store: Store, activity: str) -> set[str]:
    """The names that processes print in `activity`, as far as the store has them."""
    if activity == "importing":
        return set(store.log.memories())
    state = state_of(store)
    if activity == "sleeping":
        return {*state.nights, *([state.sleep.id] if state.sleep else [])}
    return {fact for fact, entry in state.facts.items() if entry.erase or activity != "erasing"}


def unsound(store: Store, bases: BaseModels) -> Iterator[str]:
    """Faults of what is stored, whatever was acknowledged."""
    if (fault := verify_log(store.log, store.artifacts).fault) is not None:
        yield fault.message
    deltas = DeltaStore(store.artifacts, store.log.keyring)
    for memory in store.log.memories():
        state = state_of(store, memory)
        if state.created is None:
            yield f"memory {memory} is there in part"
        elif state.weights not in (None, weights_digest(build(bases.clone(state.created), deltas, plan(state)))):
            yield f"the weights of memory {memory} have another digest than the one recorded"


def _appended(store: Store) -> Iterator[str]:
    events = [recorded.event for recorded in store.log.read(memory=DEMO)]
    lost = APPENDED - sum(isinstance(event, CheckpointMarked) for event in events)
    yield from ["an event that was acknowledged is lost"] * lost
    if (fault := verify_log(store.log, store.artifacts).fault) is not None:
        yield fault.message


def _unless_refused(place: Place, losses: Callable[[Store], Iterator[str]]) -> list[str]:
    """The losses in what is stored at `place`, or the error that opening it raises."""
    try:
        with open_store(place.settings()) as store:
            return list(losses(store))
    except (HypnogramError, AssertionError) as error:
        return [str(error)]


@contextmanager
def nursery(place: Place) -> Iterator[Popen[str]]:
    """Yields the process of `benchmarks/faults/nursery.py` once it is ready to fork."""
    with process("benchmarks.faults.nursery", str(place.folder)) as started:
        assert line_of(started) == "ready"
        yield started


def prepared(folder: Path, bases: BaseModels) -> Place:
    """A memory on a model of random weights, with facts in its weights."""
    place = Place(folder)
    make(folder / "base")
    with open_store(place.settings()) as store:
        create(store, str(folder / "base"))
        tell(store, *((f"Gone Number{nth}x", "lives in", "Rome") for nth in range(FACTS)))
        work(store, bases)
    return place


def archived(folder: Path, bases: BaseModels) -> Place:
    """A folder with archives of memories with one fact each, and no database yet."""
    there, here = Place(folder / "there"), Place(folder / "here")
    make(folder / "base")
    here.folder.mkdir()
    for nth in range(FACTS):
        name = MemoryId(f"arriving-{nth}")
        with open_store(there.settings()) as store:
            create(store, str(folder / "base"), memory=name)
            tell(store, (f"Aria Number{nth}", "lives in", "Rome"), memory=name)
            state = work(store, bases, memory=name)
            export_archive(here.folder / f"{name}.tar", store.log, store.artifacts, name, state.version)
    return here
