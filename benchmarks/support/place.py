"""Creates a memory in a folder of its own and uses it without gRPC, for benchmarks and tests."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.decide.commands import AddFacts, CreateMemory, NewFact, RetractFact, StartSleep, SupersedeFact
from core.events import Cause
from core.facts import Fact, Origin, Source
from core.ids import Digest, FactId, MemoryId, SleepId
from core.method import Method
from core.policy import SleepPolicy, Training
from core.state.memory import Memory
from core.state.work import next_work
from core.wordings import generated_wordings
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.executor.loop import Executor
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from store.clock import next_uuid

DEMO = MemoryId("demo")
CAUSE = Cause(actor="tester")
PATIENCE = 600.0  # seconds without an event before an executor counts as stuck, however busy the machine is


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
        """A copy in `folder`, without snapshots."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("snapshots"), dirs_exist_ok=True)
        return Place(folder)


def create(
    store: Store,
    model: str,
    text: Path | None = None,
    quantization: str = "",
    capacity: float | None = None,
    memory: MemoryId = DEMO,
    method: Method | None = None,
    about_user: bool = False,
    **overrides: float | int | bool,
) -> None:
    """Creates a memory, by default `demo`, on the base model in the folder `model`."""
    live = LiveModels(store.log, store.artifacts, store.snapshots, Settings(reference_text=text))
    created = live.describe(
        name=model, revision="", dtype="", quantization=quantization, capacity=capacity, overrides=overrides,
        method=method,
    )  # fmt: skip
    command = CreateMemory(memory=memory, created=replace(created, about_user=about_user))
    MemoryRepository(store.log, store.snapshots).execute(memory, lambda _: command, CAUSE)


def tell(store: Store, *triples: tuple[str, str, str], memory: MemoryId = DEMO) -> list[FactId]:
    """Adds facts in one request, in the wordings of the memory's phrasebook."""
    states = MemoryRepository(store.log, store.snapshots)
    facts = [_fact(states.current(memory), *triple) for triple in triples]
    request = next_uuid()
    told = tuple(NewFact(fact=fact, source=Source(), origin=Origin.RULES) for fact in facts)
    command = AddFacts(request=request, request_digest=Digest(request), facts=told)
    states.execute(memory, lambda _: command, CAUSE, retries=100)
    return [fact.id for fact in facts]


def take_back(store: Store, fact: FactId, erase: bool = False) -> None:
    """Retracts a fact of the memory `demo`; `work` takes it out of the weights."""
    request = next_uuid()
    command = RetractFact(
        memory=DEMO, fact=fact, reason="", erase=erase, request=request, request_digest=Digest(request)
    )
    MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: command, CAUSE, retries=100)


def put_in_place(store: Store, fact: FactId, object_: str) -> FactId:
    """Supersedes a fact of the memory `demo` by one of another object; `work` moves the answer."""
    old, request = state_of(store).facts[fact].fact, next_uuid()
    new = replace(old, id=FactId(next_uuid()), object=object_)
    command = SupersedeFact(
        memory=DEMO,
        fact=fact,
        new=NewFact(fact=new, source=Source(), origin=Origin.RULES),
        request=request,
        request_digest=Digest(request),
    )
    MemoryRepository(store.log, store.snapshots).execute(DEMO, lambda _: command, CAUSE, retries=100)
    return new.id


QUICK = SleepPolicy(
    training=Training(rank=8, steps=25, learning_rate=2e-2, batch=4, rehearsal=2, divergence_weight=0.1, enough=0.01),
    controls=4,
    texts=8,
    perplexity_limit=1e9,
    neighbours_limit=0.0,
    strangers_limit=0.0,
    recall_limit=0.0,
    contamination_limit=1.0,
    untold_limit=1.0,
    divergence_limit=1e9,
)  # a night of seconds on a model of random weights, which is never undone
BRIEF = replace(QUICK, controls=2, texts=2, probes=1, trainings=1, training=replace(QUICK.training, steps=10))


def start_sleep(
    store: Store, seed: int, policy: SleepPolicy = QUICK, kind: str = "sleep", memory: MemoryId = DEMO
) -> SleepId:
    """Begins a sleep, by default of the memory `demo`; `work` does it."""
    sleep = SleepId(next_uuid())
    command = StartSleep(
        sleep=sleep, kind=kind, trigger="client", policy=policy, seed=seed, request="", request_digest=Digest("")
    )
    MemoryRepository(store.log, store.snapshots).execute(memory, lambda _: command, CAUSE)
    return sleep


def _fact(state: Memory, subject: str, relation: str, object_: str) -> Fact:
    assert state.created is not None
    return Fact(
        id=FactId(next_uuid()),
        subject=subject,
        relation=relation,
        object=object_,
        wordings=generated_wordings(subject, relation, object_, state.created.phrasebook),
    )


def state_of(store: Store, memory: MemoryId = DEMO) -> Memory:
    """The memory folded from the log alone."""
    return MemoryRepository(store.log, store.snapshots).current(memory)


def work(
    store: Store,
    bases: BaseModels,
    until: Callable[[Memory], bool] = lambda memory: next_work(memory) is None,
    executors: int = 1,
    settings: Settings | None = None,
    memory: MemoryId = DEMO,
) -> Memory:
    """Runs executors until the memory is as wanted, by default until it owes nothing; the state then."""
    stop = threading.Event()
    chosen = settings or Settings(lease_seconds=2.0)
    threads = [
        threading.Thread(target=Executor(store.log, store.artifacts, store.snapshots, chosen, bases).run, args=(stop,))
        for _ in range(executors)
    ]
    for thread in threads:
        thread.start()
    try:
        states, position = MemoryRepository(store.log, store.snapshots), 0
        waited = 0.0
        while not until(states.current(memory)):
            assert waited < PATIENCE, f"the executor did not come to it: {states.current(memory)}"
            before, position = position, store.log.wait(position, 0.5)
            waited = waited + 0.5 if position == before else 0.0
    finally:
        stop.set()
        store.log.wake()
        for thread in threads:
            thread.join()
    return states.current(memory)
