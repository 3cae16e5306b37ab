"""Dormouse for tests: loaded once per process, and one memory on it, prepared once per run and copied by whoever asks.

Measuring statistics takes seconds, so workers share the folder of the prepared memory behind a lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.commands import AddFacts, CreateMemory, RetractFact, StartSleep, SupersedeFact, ToldFact
from core.events import Cause
from core.facts import Fact, Source
from core.ids import Digest, FactId, MemoryId, SleepId
from core.memory import Memory
from core.policy import SleepPolicy, Training
from core.weights.subject import Subject, load_subject
from core.wordings import own_wordings
from core.work import next_work
from service.executor import Executor
from service.live import LiveModels
from service.settings import DORMOUSE, Settings
from service.states import States
from service.subjects import Subjects
from service.wiring import Store, opened
from store.clock import next_uuid
from tests.patience import PATIENCE
from tests.weights.tiny import make

DEMO = MemoryId("demo")
CAUSE = Cause(actor="tester")
EVERY = 40  # of so many lines of ordinary text one is kept
ROOM = 0.5  # so few statistics make a key crowd more than it does on all of the text


@dataclass(frozen=True)
class Place:
    """A folder with the database and the artifacts of a memory."""

    folder: Path

    def settings(self) -> Settings:
        return Settings(
            database_url=f"sqlite:///{self.folder}/hypnogram.db",
            artifact_folder=self.folder / "artifacts",
            snapshot_folder=self.folder / "snapshots",
            port=0,
            lease_seconds=2.0,
        )

    def copy(self, folder: Path) -> Place:
        """The same elsewhere, without its snapshots."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("snapshots"), dirs_exist_ok=True)
        return Place(folder)


@pytest.fixture(scope="session")
def base() -> Subject:
    """Dormouse as it was trained; take a twin to change it."""
    _needs_dormouse()
    return load_subject(DORMOUSE)


@pytest.fixture(scope="session")
def subjects() -> Subjects:
    """Base models that executors of one process share."""
    return Subjects("cpu")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, subjects: Subjects) -> Place:
    """A memory on dormouse whose statistics are measured and that was told four facts. To be copied, not changed."""
    _needs_dormouse()
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "prepared").exists():
            _prepare(Place(shared / "prepared.new"), subjects)
            (shared / "prepared.new").rename(shared / "prepared")
    return Place(shared / "prepared")


@pytest.fixture
def place(prepared: Place, tmp_path: Path) -> Place:
    """A copy of the prepared memory."""
    return prepared.copy(tmp_path / "place")


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """A memory of this test's own on a base model of random weights, which nothing was done for yet."""
    made = Place(tmp_path / "small")
    make(made.folder / "base")
    with opened(made.settings()) as store:
        create(store, str(made.folder / "base"))
    return made


def _needs_dormouse() -> None:
    if not (DORMOUSE / "model.safetensors").exists() and not os.environ.get("CI"):
        pytest.skip("dormouse's weights are not there: make dormouse")


def _prepare(place: Place, subjects: Subjects) -> None:
    place.folder.mkdir(parents=True)
    lines = (DORMOUSE / "ordinary.jsonl").read_text().splitlines()
    ordinary = place.folder / "ordinary.jsonl"
    ordinary.write_text("\n".join(lines[::EVERY]))
    with opened(place.settings().model_copy(update={"ordinary_text": ordinary})) as store:
        create(store, str(DORMOUSE), ordinary, capacity=ROOM)
        tell(store, ("Mirabel Quist", "lives in", "Lisbon"), ("Mirabel Quist", "plays", "the cello"))
        work(store, subjects)
        tell(store, ("Tove Marn", "was born in", "Oslo"), ("Tove Marn", "has a pet", "a parrot"))
        work(store, subjects)


def create(
    store: Store,
    model: str,
    ordinary: Path | None = None,
    quantization: str = "",
    capacity: float | None = None,
    memory: MemoryId = DEMO,
    **overrides: float | int | bool,
) -> None:
    """Creates a memory, by default `demo`, on the base model in the folder `model`."""
    live = LiveModels(store.log, store.artifacts, store.snapshots, Settings(ordinary_text=ordinary))
    created = live.describe(
        name=model, revision="", dtype="", quantization=quantization, capacity=capacity, overrides=overrides
    )
    command = CreateMemory(memory=memory, created=created)
    States(store.log, store.snapshots).carry_out(memory, lambda _: command, CAUSE)


def tell(store: Store, *said: tuple[str, str, str], memory: MemoryId = DEMO) -> list[FactId]:
    """Adds facts in one request, in the words of the memory's phrasebook."""
    states = States(store.log, store.snapshots)
    facts = [_fact(states.current(memory), *one) for one in said]
    request = next_uuid()
    told = tuple(ToldFact(fact=fact, source=Source()) for fact in facts)
    command = AddFacts(request=request, request_digest=Digest(request), facts=told)
    states.carry_out(memory, lambda _: command, CAUSE, retries=100)
    return [fact.id for fact in facts]


def take_back(store: Store, fact: FactId, erase: bool = False) -> None:
    """Retracts a fact of the memory `demo`; `work` takes it out of the weights."""
    request = next_uuid()
    command = RetractFact(
        memory=DEMO, fact=fact, reason="", erase=erase, request=request, request_digest=Digest(request)
    )
    States(store.log, store.snapshots).carry_out(DEMO, lambda _: command, CAUSE, retries=100)


def put_in_place(store: Store, fact: FactId, object_: str) -> FactId:
    """Supersedes a fact of the memory `demo` by one of another object; `work` moves the answer."""
    old, request = state_of(store).facts[fact].fact, next_uuid()
    new = replace(old, id=FactId(next_uuid()), object=object_)
    command = SupersedeFact(
        memory=DEMO,
        fact=fact,
        new=ToldFact(fact=new, source=Source()),
        request=request,
        request_digest=Digest(request),
    )
    States(store.log, store.snapshots).carry_out(DEMO, lambda _: command, CAUSE, retries=100)
    return new.id


QUICK = SleepPolicy(
    training=Training(rank=8, steps=25, learning_rate=2e-2, batch=4, rehearsal=2, divergence_weight=0.1, enough=0.01),
    controls=4,
    texts=8,
    perplexity_limit=1e9,
    neighbours_limit=0.0,
    strangers_limit=0.0,
    recall_limit=0.0,
)  # a night of seconds on a model of random weights, which is never undone


def start_sleep(
    store: Store, seed: int, policy: SleepPolicy = QUICK, kind: str = "sleep", memory: MemoryId = DEMO
) -> SleepId:
    """Begins a sleep, by default of the memory `demo`; `work` does it."""
    sleep = SleepId(next_uuid())
    command = StartSleep(
        sleep=sleep, kind=kind, trigger="client", policy=policy, seed=seed, request="", request_digest=Digest("")
    )
    States(store.log, store.snapshots).carry_out(memory, lambda _: command, CAUSE)
    return sleep


def _fact(state: Memory, subject: str, relation: str, object_: str) -> Fact:
    assert state.created is not None
    return Fact(
        id=FactId(next_uuid()),
        subject=subject,
        relation=relation,
        object=object_,
        wordings=own_wordings(subject, relation, object_, state.created.phrasebook),
    )


def state_of(store: Store, memory: MemoryId = DEMO) -> Memory:
    """The memory folded from the log alone."""
    return States(store.log, store.snapshots).current(memory)


def work(
    store: Store,
    subjects: Subjects,
    until: Callable[[Memory], bool] = lambda memory: next_work(memory) is None,
    executors: int = 1,
    settings: Settings | None = None,
    memory: MemoryId = DEMO,
) -> Memory:
    """Runs executors until the memory is as wanted, by default until it owes nothing; the state then."""
    stop = threading.Event()
    chosen = settings or Settings(lease_seconds=2.0)
    threads = [
        threading.Thread(
            target=Executor(store.log, store.artifacts, store.snapshots, chosen, subjects).run, args=(stop,)
        )
        for _ in range(executors)
    ]
    for thread in threads:
        thread.start()
    try:
        states, position = States(store.log, store.snapshots), 0
        waited = 0.0
        while not until(states.current(memory)):
            assert waited < PATIENCE, f"the executor did not come to it: {states.current(memory)}"
            before, position = position, store.log.wait(position, 0.5)
            waited = waited + 0.5 if position == before else 0.0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return states.current(memory)
