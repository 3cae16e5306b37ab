"""A memory to measure: the service's log, rules and editor in one process, without gRPC."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from core.decide import decide
from core.decide.commands import (
    AddFacts,
    Command,
    CreateMemory,
    NewFact,
    RecordAudit,
    RecordRefresh,
    RecordStatistics,
    RetractFact,
    StartSleep,
)
from core.errors.base import ArtifactMissing, CapacityReached
from core.events import Cause, Event
from core.events.codec import canonical, to_json
from core.events.facts import FactInjected
from core.evolve import fold
from core.facts import Fact, Origin, Source
from core.ids import Digest, FactId, MemoryId, SleepId
from core.method import Method, checked_method
from core.policy import SleepPolicy
from core.state.memory import Memory, Night
from core.state.plan import plan, plan_at
from core.state.sleep import Occasion, Step
from core.state.work import Erase, EraseTexts, Inject, PrepareStatistics, Purge, Read, SleepStep, next_work
from core.weights.model.editable_model import EditableModel
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.executor.editor import Editor
from service.settings import Settings, cache_home
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.projection import build, build_verified
from store.artifacts import Artifacts
from store.clock import next_uuid
from store.log.event_log import EventLog
from store.state.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Slept:
    """A sleep that has ended: its outcome, its duration and its events."""

    night: Night
    seconds: float
    events: tuple[Event, ...]


Judge = Callable[[RecordAudit], RecordAudit]  # may change the verdicts of a gate


def fact_by_fact(gate: RecordAudit) -> RecordAudit:
    """Returns `gate` unchanged: each fact by its own probes, as the service judges."""
    return gate


MEMORY = MemoryId("bench")
UNLIMITED = 1e9  # capacity, because benchmarks measure beyond the limit of the service
CAUSE = Cause(actor="bench")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class On:
    """What a memory is made on.

    Attributes:
        model: name or folder of the base model; empty for dormouse.
        method: how facts are written; empty for the default of the model.
        bases: base models of this process, so that each is loaded once.
        prepared: folder of what was prepared for other memories; that in the cache by default.
        quantization: of all but the edited modules; empty for none.
    """

    model: str = ""
    method: str = ""
    bases: BaseModels | None = None
    prepared: Path | None = None
    quantization: str = ""


DORMOUSE = On()


class BenchMemory:
    """One memory that performs its pending work right after each command.

    Attributes:
        model: its live model, with the weights of `state`.
        base: a clone of its base model, which nothing edits.
        seconds_of_preparation: of its statistics, measured or found; 0.0 of a memory that had them.
    """

    def __init__(
        self, folder: Path, models: LiveModels, log: EventLog, overrides: dict[str, float | int | bool], on: On
    ) -> None:
        self._folder = folder
        self.seconds_of_preparation = 0.0
        self._artifacts = Artifacts(folder / "artifacts")
        self._log = log
        self._states = MemoryRepository(log, Snapshots(folder / "snapshots"))
        models.bases = on.bases or models.bases
        created = models.describe(
            name=on.model, revision="", dtype="", quantization=on.quantization, overrides=overrides,
            method=checked_method(on.method) if on.method else None,
        )  # fmt: skip
        self._capacity = created.capacity
        created = replace(created, capacity=UNLIMITED)
        self._carry_out(CreateMemory(memory=MEMORY, created=created))
        self._deltas = DeltaStore(self._artifacts, log.keyring)
        self._editor = Editor(models.bases.clone(created), created, self._artifacts, self._deltas)
        self.model: EditableModel = models.bases.clone(created)
        self.base: EditableModel = models.bases.clone(created)
        self._prepared = Artifacts(on.prepared or cache_home() / "bench" / "prepared")
        by_lora = replace(created, method=Method.ANSWER_SITE)
        self._trainer = Editor(self._editor.model, by_lora, self._artifacts, self._deltas)
        prepared_deltas = DeltaStore(self._prepared, log.keyring)
        self._preparer = Editor(self.base.clone(), created, self._prepared, prepared_deltas)
        self._preparer_of_lora = Editor(self.base.clone(), by_lora, self._prepared, prepared_deltas)
        self._work()
        self._before = self.bytes

    @property
    def state(self) -> Memory:
        return self._states.current(MEMORY)

    @property
    def bytes_per_fact(self) -> float:
        """Growth of database and artifacts since before the first fact, divided by the number of facts."""
        return (self.bytes - self._before) / max(len(self.state.facts), 1)

    @property
    def bytes(self) -> int:
        """The size of database and artifacts."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    @property
    def columns(self) -> int:
        """The number of columns in the weights, of edits and of adapters."""
        return sum(term.count for term in plan(self.state).terms)

    def would_refuse(self, fact: Fact) -> bool:
        """Whether the service would refuse `fact` now, with the default capacity."""
        state = self.state
        assert state.created is not None
        limited = replace(state, created=replace(state.created, capacity=self._capacity))
        try:
            decide(limited, _adding([fact]))
        except CapacityReached:
            return True
        return False

    def tell(self, facts: Sequence[Fact]) -> float:
        """Adds `facts` in one request and writes them; returns the seconds. Raises Refused."""
        began = time.monotonic()
        self._carry_out(_adding(facts))
        self._work()
        return time.monotonic() - began

    def retract(self, facts: Sequence[FactId]) -> float:
        """Retracts facts, one request each, and withdraws them; returns the seconds. Raises Refused."""
        began = time.monotonic()
        for fact in facts:
            request = next_uuid()
            self._carry_out(
                RetractFact(
                    memory=MEMORY, fact=fact, reason="", erase=False, request=request, request_digest=Digest(request)
                )
            )
        self._work()
        return time.monotonic() - began

    def without(self, facts: Sequence[FactId]) -> dict[str, Tensor]:
        """The weights without the columns of `facts`, and without any counter-edit."""
        return build(self.model, self._deltas, plan_at(self.state, dict.fromkeys(facts, 0.0)))

    def tell_unprotected(self, fact: Fact) -> None:
        """Writes `fact` by plain MEMIT, which ignores other edits. The log records the edit like any other."""
        self._carry_out(_adding([fact]))
        created = self.state.created
        assert created is not None
        unprotected = replace(created, hyperparameters=replace(created.hyperparameters, history=False))
        editor = Editor(self._editor.model, unprotected, self._artifacts, self._deltas)
        work = next_work(self.state)
        assert isinstance(work, Inject)
        self._carry_out(editor.perform(work, self.state))
        self._work()

    def refresh_one_by_one(self) -> float:
        """Naps, then refreshes each degraded fact by itself, outside the log; returns the seconds of refreshing."""
        self.sleep(kind="nap")
        began, state = time.monotonic(), self.state
        for fact in [fact for fact, audited in state.facts.items() if audited.healthy is False]:
            assert state.weights is not None
            work = SleepStep(
                sleep=SleepId(""), step=Step.REFRESH, occasion=Occasion.BEFORE, facts=(fact,), weights=state.weights,
                attempt=1,
            )  # fmt: skip
            command = self._editor.perform(work, state)
            assert isinstance(command, RecordRefresh)
            edit = command.edit
            state = fold((edit, FactInjected(fact=fact, edit=edit.edit, stage=0, scale=1.0)), onto=state)
        self.model.install(build_verified(self.model, self._deltas, state))
        return time.monotonic() - began

    def sleep(
        self,
        policy: SleepPolicy | None = None,
        *,
        kind: str = "sleep",
        seed: int = 0,
        judge: Judge = fact_by_fact,
        lora: bool = False,
    ) -> Slept:
        """Sleeps until the sleep ends; returns its outcome. Raises Refused.

        Args:
            judge: may change the gate's verdicts before they are recorded.
            lora: whether a LoRA is trained in any case. The service does so where the method is not `neuron`, because
                only columns of neurons leave with a retracted fact.
        """
        before, began = self.state, time.monotonic()
        assert before.created is not None
        sleep = SleepId(next_uuid())
        self._carry_out(
            StartSleep(
                sleep=sleep, kind=kind, trigger="client", policy=policy or before.created.sleep, seed=seed,
                request=sleep, request_digest=Digest(sleep),
            )
        )  # fmt: skip
        self._work(judge, lora)
        return Slept(self.state.nights[sleep], time.monotonic() - began, self.events(before.version))

    def events(self, after: int = 0) -> tuple[Event, ...]:
        """The events after the version `after`."""
        return tuple(recorded.event for recorded in self._log.iterate(MEMORY, after_version=after))

    def with_keys(self) -> Memory:
        """Returns the state with the covariance of keys that a LoRA begins with, which a memory of neurons lacks."""
        state = self.state
        if state.statistics is None or state.statistics.detectors is None:
            return state
        command = self._preparer_of_lora.perform(PrepareStatistics(attempt=1), state)
        assert isinstance(command, RecordStatistics)
        self._artifacts.put(self._prepared.get(command.prepared.artifact))
        return replace(state, statistics=replace(state.statistics, artifact=command.prepared.artifact))

    def _work(self, judge: Judge = fact_by_fact, lora: bool = False) -> None:
        while (work := next_work(self.state)) is not None:
            assert not isinstance(work, Erase | EraseTexts | Purge | Read)
            prepares = isinstance(work, PrepareStatistics)
            trains = lora and isinstance(work, SleepStep) and work.step is Step.TRAIN
            editor = self._trainer if trains else self._editor
            state = self.with_keys() if trains else self.state
            command = self._prepare() if prepares else editor.perform(work, state)
            if isinstance(command, RecordAudit) and command.controls is None:
                command = judge(command)
            self._carry_out(command)
        self.model.install(build_verified(self.model, self._deltas, self.state))

    def _prepare(self) -> RecordStatistics:
        """Measures the statistics, or finds those of a memory like this, and takes the artifacts that they name."""
        began, state = time.monotonic(), self.state
        assert state.created is not None
        if state.created.reference_text:
            self._prepared.put(self._artifacts.get(state.created.reference_text))
        command = self._preparer.perform(PrepareStatistics(attempt=1), state)
        assert isinstance(command, RecordStatistics)
        for digest in _DIGEST.findall(canonical(to_json(command.prepared))):
            with suppress(ArtifactMissing):  # of weights
                self._artifacts.put(self._prepared.get(digest))
        self.seconds_of_preparation = time.monotonic() - began
        return command

    def _carry_out(self, command: Command) -> None:
        self._states.execute(MEMORY, lambda _: command, CAUSE)


def ids_of(state: Memory, facts: Sequence[Fact]) -> list[FactId]:
    """The ids that `facts` have in a memory, by subject and relation."""
    ids = {(told.fact.subject, told.fact.relation): fact for fact, told in state.facts.items()}
    return [ids[fact.subject, fact.relation] for fact in facts]


def _adding(facts: Sequence[Fact]) -> AddFacts:
    request = next_uuid()
    told = tuple(NewFact(fact=_renamed(fact), source=Source(), origin=Origin.RULES) for fact in facts)
    return AddFacts(request=request, request_digest=Digest(request), facts=told)


def _renamed(fact: Fact) -> Fact:
    return replace(fact, id=FactId(next_uuid()))


@contextmanager
def bench_memory(
    overrides: dict[str, float | int | bool], folder: Path | None = None, on: On = DORMOUSE
) -> Iterator[BenchMemory]:
    """A memory in a temporary folder, or in `folder`, where an existing one continues."""
    if folder is None:
        with (
            tempfile.TemporaryDirectory(prefix="hypnogram-bench-") as name,
            bench_memory(overrides, Path(name), on) as memory,
        ):
            yield memory
        return
    with opened_in(folder) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, Settings())
        yield BenchMemory(folder, models, store.log, overrides, on)


@contextmanager
def opened_in(folder: Path) -> Iterator[Store]:
    """The store of a `BenchMemory` in `folder`."""
    with EventLog.open(f"sqlite:///{folder / 'log.db'}") as log:
        yield Store(log, Artifacts(folder / "artifacts"), Snapshots(folder / "snapshots"))
