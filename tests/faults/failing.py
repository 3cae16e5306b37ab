"""A fixed life of a memory in which the n-th call of one kind fails, SQLite's way of testing itself.

Run with `shim.so` preloaded (see `main`), as calls are made to fail below Python and below SQLite. The life is that of
`STEPS`: no model works in it, but all that is stored is stored by the code that ships. A step that fails is an answer
and ends the life; once the fault is gone every step is done again, which changes nothing where it succeeded before.

    LD_PRELOAD=shim.so python -m tests.faults.failing KIND BELOW STRIDE LASTING
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from core.decide.commands import (
    Command,
    CreateMemory,
    MarkCheckpoint,
    RecordInjection,
    RecordRefresh,
    RecordStatistics,
    RecordTraining,
    RecordWithdrawal,
)
from core.errors.base import Damaged, HypnogramError
from core.events import Cause
from core.evolve import fold
from core.ids import MemoryId
from core.state.memory import Memory
from core.state.work import Erase, Work, next_work
from service.app import erasure
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.log_setup import configure
from service.settings import Settings
from store.log.verify import verify_log
from store.state import loading
from tests.core.samples import ARIA, BO, CREATED, CY, DETECTORS, UPPER, add, fact
from tests.core.sleep_samples import retract, start, supersede
from tests.faults.shim import KINDS
from tests.service.parrot import performed

EXPECTED = (OSError, SQLAlchemyError, HypnogramError)  # what callers are prepared for
DEMO = MemoryId("demo")
CAUSE = Cause(actor="tester")
NEW = fact("fact-new", BO.subject, BO.relation, "a smith")
WORDS = (ARIA.subject.encode(), ARIA.object.encode())  # of the fact that is erased


@dataclass
class Life:
    """A store in use, and what it has acknowledged."""

    store: Store
    states: MemoryRepository
    versions: dict[MemoryId, int] = field(default_factory=dict)

    def do(self, command: Command, memory: MemoryId = DEMO) -> None:
        self.versions[memory] = self.states.execute(memory, lambda _: command, CAUSE).version

    def work(self) -> None:
        """Does what an executor would owe; what it made is in the artifacts before an event names it."""
        while owed := next_work(self.states.current(DEMO)):
            self.do(self._perform(owed, self.states.current(DEMO)))

    def _perform(self, owed: Work, state: Memory) -> Command:
        store = self.store
        if isinstance(owed, Erase):
            return erasure.erase_fact(store.log, store.artifacts, store.snapshots, self.states, DEMO, owed)
        made = store.artifacts.put(f"made at version {state.version}".encode() * 100)
        statistics = state.statistics.artifact if state.statistics else made
        match command := performed(owed, state):
            case RecordStatistics():
                lower, upper = replace(DETECTORS, artifact=made), replace(UPPER, artifact=made)
                prepared = replace(command.prepared, artifact=made, reference_text=made, detectors=lower, upper=upper)
                return replace(command, prepared=prepared)
            case RecordInjection() | RecordRefresh():
                return replace(command, edit=replace(command.edit, delta=made, statistics=statistics))
            case RecordWithdrawal() if command.edit is not None:
                return replace(command, edit=replace(command.edit, delta=made, statistics=statistics))
            case RecordTraining():
                return replace(command, adapter=replace(command.adapter, delta=made))
        return command


def create(life: Life) -> None:
    text = life.store.artifacts.put(b"reference text")
    life.do(CreateMemory(memory=DEMO, created=replace(CREATED, reference_text=text)))


def night(life: Life) -> None:
    state = life.states.current(DEMO)
    if not state.nights:
        life.do(start(request="night"))
    life.work()


def look(life: Life) -> None:
    """A process that has no state yet folds it, and may keep a snapshot."""
    MemoryRepository(life.store.log, life.store.snapshots).current(DEMO)


STEPS: tuple[Callable[[Life], None], ...] = (
    create,
    lambda life: life.do(add(ARIA, BO, CY, request="told")),
    Life.work,
    look,
    lambda life: life.do(supersede(BO, NEW)),
    lambda life: life.do(retract(ARIA)),
    Life.work,
    lambda life: life.do(retract(ARIA, erase=True)),
    Life.work,
    night,
    look,
    lambda life: life.do(MarkCheckpoint(memory=DEMO, name="kept", version=3, weights=None)),
)


def settings(folder: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder}/hypnogram.db",
        artifact_folder=folder / "artifacts",
        snapshot_folder=folder / "snapshots",
    )


@dataclass(frozen=True)
class Outcome:
    """What came of one life: whether a step failed, or the fault went unnoticed; and what is wrong for good."""

    failed: bool
    lost: tuple[str, ...]


def live(folder: Path, arm: Callable[[], None], disarm: Callable[[], object], reopen: bool) -> Outcome:
    """Lives with a fault, checks, does again what failed, and checks; in the same process's store, or in a new one."""
    lost: list[str] = []
    acknowledged: dict[MemoryId, int] = {}
    failed = False
    arm()
    with suppress(*EXPECTED), open_store(settings(folder)) as store:
        life = Life(store, MemoryRepository(store.log, store.snapshots), acknowledged)
        for step in STEPS:
            try:
                step(life)
            except EXPECTED:
                failed = True
                break
        disarm()
        if not reopen:
            lost += _again(life)
    disarm()
    with open_store(settings(folder)) as store:
        lost += _faults(store, acknowledged, folder)
        life = Life(store, MemoryRepository(store.log, store.snapshots), acknowledged)
        lost += _again(life)
        lost += _faults(store, acknowledged, folder)
        lost += _unfinished(life, folder)
    return Outcome(failed, tuple(lost))


def _again(life: Life) -> Iterator[str]:
    for number, step in enumerate(STEPS):
        try:
            step(life)
        except Exception as error:
            yield f"step {number} fails without a fault: {type(error).__name__}: {error}"


def _faults(store: Store, acknowledged: dict[MemoryId, int], folder: Path) -> Iterator[str]:
    """What is wrong with what is stored."""
    if (fault := verify_log(store.log, store.artifacts).fault) is not None:
        yield fault.message
    for memory, version in acknowledged.items():
        recorded = store.log.read(memory=memory, limit=10_000)
        if len(recorded) < version:
            yield f"{memory} was acknowledged at version {version} and is at {len(recorded)}"
        state = MemoryRepository(store.log, store.snapshots).current(memory)
        if state != fold(one.event for one in recorded):
            yield f"the state of {memory} is not what its log says"
    for artifact in store.artifacts.list():
        try:
            store.artifacts.get(artifact)
        except Damaged as damage:
            yield str(damage)


def _unfinished(life: Life, folder: Path) -> Iterator[str]:
    state = life.states.current(DEMO)
    if next_work(state) is not None or not state.facts[ARIA.id].erased or not state.facts[NEW.id].in_weights:
        yield "work is left over"
    if not any(night.completed for night in state.nights.values()):
        yield "the night did not end"
    files = [file for file in folder.rglob("*") if file.is_file()]
    yield from (f"{file.name} holds erased words" for file in files if any(word in file.read_bytes() for word in WORDS))


def main() -> None:
    """Prints a line of JSON for each n at which a call was made to fail."""
    kind, below, stride, lasting = KINDS.index(sys.argv[1]) + 1, sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    shim = ctypes.CDLL(None)
    configure("json", "error")
    loading.EVERY = 6
    gc.disable()  # so that what a failed call left open stays open
    number = 1
    while True:
        with tempfile.TemporaryDirectory(prefix="hypnogram-faults-") as name:
            folder = Path(name)
            arm = partial(_arm, shim, f"{folder}/{below}", kind, number, lasting)
            outcome = live(folder, arm, shim.fault_disarm, reopen=number % 2 == 0)
        if shim.fault_disarm() < number:  # no call was the n-th
            return
        sys.stdout.write(json.dumps({"n": number, "failed": outcome.failed, "lost": outcome.lost}) + "\n")
        sys.stdout.flush()
        number += stride


def _arm(shim: ctypes.CDLL, below: str, kind: int, number: int, lasting: int) -> None:
    shim.fault_arm(below.encode(), kind, ctypes.c_long(number), lasting)


if __name__ == "__main__":
    main()
