"""Models that need no weights: what a server is tested with where the model is not the point."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.decide.commands import (
    Command,
    RecordErasure,
    RecordFailure,
    RecordInjection,
    RecordPurge,
    RecordReading,
    RecordTextsErased,
    RecordWithdrawal,
)
from core.errors.base import DigestMismatch, ModelUnavailable, StaleWork
from core.errors.history import NothingToCompact
from core.events import Cause
from core.events.deletion import MemoryPurged
from core.events.facts import EditKind
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.memory import MemoryCreated
from core.hyperparameters import Hyperparameters
from core.ids import Digest, EventId, MemoryId
from core.method import Method
from core.policy import changed_policy
from core.state.memory import Memory
from core.state.plan import plan
from core.state.sleep import Step
from core.state.work import (
    Erase,
    EraseTexts,
    Inject,
    PrepareStatistics,
    Purge,
    Read,
    SleepStep,
    Withdraw,
    Work,
    next_work,
)
from service.app.cancellation import Cancelled
from service.app.ports import Piece, Sampling
from service.app.repository import MemoryRepository
from service.app.state_diff import Compared, questions
from tests.core.samples import CLEAN, CREATED, PREPARE, digest, edit
from tests.service.dream import Dream

EXECUTOR = Cause(actor="executor")
SONG = bytes(range(256)) * 40_000  # the weights of a parrot, longer than what a connection holds


@dataclass(frozen=True)
class Rebuilt:
    version: int
    plan_digest: Digest
    recorded: Digest | None
    rebuilt: Digest
    edits_checked: int
    erased: int = 0


@dataclass
class Parrot:
    """Repeats what it is asked. Its switches make it fail or dawdle."""

    states: MemoryRepository | None = None
    missing: set[str] = field(default_factory=set)  # memories whose base is not to be had
    asked_to_be_ready: list[str] = field(default_factory=list)
    forgotten: list[tuple[str, int]] = field(default_factory=list)  # deleted memories, each with its last version then
    slow: float = 0.0  # seconds before each piece
    think_until: threading.Event | None = None  # before a piece of an answer, the first one by default
    think_after: int = 0  # pieces of an answer
    thinking: list[str] = field(default_factory=list)  # about which memories answers wait for it
    generated: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    broken: Exception | None = None
    replay_until: threading.Event | None = None
    mismatch: bool = False
    capacity: float = 1000.0
    sampling: Sampling | None = None  # of the last answer
    gpu: tuple[int, int] | None = None  # bytes of one that are held, and that are free
    export_until: threading.Event | None = None  # before the end of an export
    exported: list[Path] = field(default_factory=list)  # folders in which exports were begun

    def describe(
        self,
        *,
        name: str,
        revision: str,
        dtype: str,
        quantization: str,
        overrides: Mapping[str, float | int | bool],
        sleep: Mapping[str, Any],
        capacity: float | None,
        method: Method | None,
    ) -> MemoryCreated:
        if name.startswith("/"):
            raise ModelUnavailable(f"there is no base model at {name}; check the path", name=name)
        base = replace(CREATED.base, name=name or "parrot", dtype=dtype or "float32")
        values: dict[str, Any] = {**asdict(CREATED.hyperparameters), **overrides}
        hyperparameters = Hyperparameters(**values)
        return replace(
            CREATED,
            base=base,
            capacity=capacity or self.capacity,
            hyperparameters=hyperparameters,
            method=method or CREATED.method,
            sleep=changed_policy(CREATED.sleep, sleep, "sleep"),
        )

    def moved(self, created: MemoryCreated, name: str, revision: str) -> str:
        if not name.startswith("parrot"):
            raise ModelUnavailable(f"there is no base model at {name}; check the path", name=name)
        return name

    def generate(
        self,
        memory: MemoryId,
        *,
        messages: list[dict[str, str]] | None,
        prompt: str | None,
        max_tokens: int,
        at_version: int | None,
        sampling: Sampling | None = None,
        client: str = "",
    ) -> Generator[Piece, None, None]:
        self.sampling = sampling
        if self.broken:
            raise self.broken
        words = (messages[-1]["content"] if messages else prompt or "").split()
        try:
            for index, word in enumerate(words[:max_tokens]):
                if index == self.think_after and (enough := self.think_until):
                    self.thinking.append(memory)
                    enough.wait()
                time.sleep(self.slow)
                self.generated += 1
                last = index + 1 == min(len(words), max_tokens)
                finish = None if not last else "length" if len(words) > max_tokens else "stop"
                yield Piece(word + " ", finish, at_version or 1, CLEAN, len(words), index + 1)
        finally:
            self.closed.set()

    def gpu_bytes(self) -> tuple[int, int] | None:
        return self.gpu

    def ready(self, memory: MemoryId) -> None:
        self.asked_to_be_ready.append(memory)
        if memory in self.missing:
            raise ModelUnavailable(f"there is no base model of memory {memory!r}", memory=memory)

    def forget(self, memory: MemoryId, version: int) -> None:
        self.forgotten.append((memory, version))

    def replay(
        self,
        memory: MemoryId,
        version: int | None,
        progress: Callable[[int, int, str], None],
        cancelled: Callable[[], bool],
        after: int = 0,
    ) -> Rebuilt:
        while self.replay_until is not None and not self.replay_until.wait(0.01):
            progress(1, 2, "waiting")
        if self.mismatch:
            raise DigestMismatch(version or 0, "a" * 64, "b" * 64)
        assert self.states is not None
        state = self.states.at(memory, version)
        progress(2, 2, "built")
        return Rebuilt(state.version, plan(state).digest, state.weights, state.weights or CLEAN, len(state.edits))

    def compare(self, before: Memory, after: Memory, *, ask: bool) -> Compared:
        return Compared((), (), len(questions(before, after)) if ask else 0)

    def compact(self, memory: MemoryId, state: Memory, bound: float) -> AdaptersCompacted:
        raise NothingToCompact(memory, "a parrot has no adapters")

    def export(self, memory: MemoryId, state: Memory, kind: str, folder: Path, cancelled: Callable[[], bool]) -> None:
        folder.mkdir()
        (folder / "exported.json").write_text(json.dumps({"kind": kind, "memory": memory, "version": state.version}))
        (folder / "model.safetensors").write_bytes(SONG)
        self.exported.append(folder)
        while self.export_until is not None and not self.export_until.wait(0.01):
            if cancelled():
                raise Cancelled
        if self.broken:
            raise self.broken


def work(
    states: MemoryRepository, memory: str, *, fail: bool = False, dream: Dream | None = None, until: Step | None = None
) -> None:
    """Does what an executor owes `memory`, without touching a weight; `until` that step of a sleep is owed."""
    name, dream = MemoryId(memory), dream or Dream()
    while owed := next_work(states.current(name)):
        if isinstance(owed, SleepStep) and owed.step is until:
            return

        def record(state: Memory, owed: Work = owed) -> Command:
            return _failed(owed) if fail else performed(owed, state, dream)

        with suppress(StaleWork):  # done by another meanwhile, such as the reader of conversations
            states.execute(name, record, EXECUTOR, retries=100)


def _failed(owed: Work) -> RecordFailure:
    if isinstance(owed, Inject):
        return RecordFailure(work=owed, reason="UNLEARNABLE", message="the value diverged", retry=False)
    return RecordFailure(work=owed, reason="DAMAGED", message="the disk is full", retry=True)


def performed(owed: Work, state: Memory, dream: Dream | None = None) -> Command:
    """The result of `owed`, with an invented digest of weights."""
    match owed:
        case PrepareStatistics():
            return PREPARE
        case Inject():
            written = edit(*owed.facts, before=owed.weights, number=state.version, key_occupancy=0.01)
            return RecordInjection(edit=written)
        case Withdraw():
            return withdrawn(owed, state)
        case Erase():
            return RecordErasure(work=owed, remains=())
        case SleepStep():
            return (dream or Dream()).perform(owed, state)
        case Read():
            return RecordReading(work=owed, said=EventId(""), heard=())
        case EraseTexts():
            return RecordTextsErased(work=owed)
        case Purge():
            keys = len(state.facts)
            return RecordPurge(work=owed, purged=MemoryPurged(keys=keys, artifacts=(), kept=0))


def withdrawn(owed: Withdraw, state: Memory) -> RecordWithdrawal:
    """With a counter-edit where adapters have learned the fact."""
    adapters = tuple(one.id for one in state.adapters.values() if owed.fact in one.facts)
    counter = replace(edit(owed.fact, before=owed.weights, number=state.version), kind=EditKind.WITHDRAWAL)
    event = FactWithdrawn(
        fact=owed.fact,
        edit=counter.edit if adapters else None,
        adapters=adapters,
        weights_before=owed.weights,
        weights_after=counter.weights_after if adapters else digest("withdrawn", state.version),
        key_occupancy=0.005,
        seconds=0.125,
    )
    return RecordWithdrawal(work=owed, withdrawn=event, edit=counter if adapters else None)
