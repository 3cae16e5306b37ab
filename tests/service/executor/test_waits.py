"""What passes is waited for: nothing is recorded, no attempt is used up, and status says what is in the way."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from sqlalchemy.exc import OperationalError

from core.errors.base import (
    ArtifactCorrupt,
    ArtifactMissing,
    DeviceUnavailable,
    DigestMismatch,
    ModelUnavailable,
    NotReady,
    Unlearnable,
)
from core.errors.history import FactHeld
from core.events.facts import WorkFailed
from core.ids import Digest, FactId, MemoryId
from core.state.memory import Memory, Status
from core.state.work import Erase, Inject
from service.app.store import Store, open_store
from service.executor.loop import MEMORY_TRIES
from service.executor.passing import passing
from service.executor.waits import FIRST_SECONDS, LONGEST_SECONDS, Waits
from service.executor.work import inject as injection
from service.executor.work.context import Context, Done
from service.weights.base_models import BaseModels
from store.artifacts import Artifacts
from store.database.executors import Duty, Executors
from tests.prepared import DEMO, Place, tell, work

CAUSES: tuple[tuple[Exception, str | None], ...] = (
    (ModelUnavailable("there is none"), "MODEL_UNAVAILABLE"),
    (DeviceUnavailable("cuda", "no driver"), "DEVICE_UNAVAILABLE"),
    (torch.AcceleratorError("CUDA error: device lost"), "DEVICE_UNAVAILABLE"),
    (ArtifactMissing("a" * 64), "ARTIFACT_MISSING"),
    (NotReady("it is being read"), "NOT_READY"),
    (OperationalError("", {}, Exception("away")), "DATABASE_UNAVAILABLE"),
    (sqlite3.OperationalError("disk I/O error"), "DATABASE_UNAVAILABLE"),
    (OSError(errno.ENOSPC, "No space left on device"), "DISK_FULL"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), "DISK_FULL"),
    (OSError(errno.EROFS, "Read-only file system"), "STORAGE_UNAVAILABLE"),
    (OSError(errno.EIO, "Input/output error"), "STORAGE_UNAVAILABLE"),
    (PermissionError(errno.EACCES, "Permission denied"), "STORAGE_UNAVAILABLE"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), "STORAGE_UNAVAILABLE"),
    (MemoryError(), "OUT_OF_MEMORY"),
    (torch.OutOfMemoryError("CUDA out of memory"), "OUT_OF_MEMORY"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), "OUT_OF_MEMORY"),
    (Unlearnable("its object has no tokens"), None),
    (ArtifactCorrupt("a" * 64, "b" * 64), None),
    (DigestMismatch(3, "a" * 64, "b" * 64), None),
    (FactHeld(FactId("one"), MemoryId("other")), None),
    (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
    (ValueError(), None),
    (KeyError("x"), None),
)


@pytest.mark.parametrize(("error", "reason"), CAUSES, ids=[f"{type(one).__name__}-{why}" for one, why in CAUSES])
def test_causes_that_pass_are_told_from_faults_by_their_type(error: Exception, reason: str | None) -> None:
    assert passing(error) == reason


@contextmanager
def _renamed(folder: Path) -> Iterator[None]:
    away = folder.rename(folder.with_name("away"))
    yield
    away.rename(folder)


@contextmanager
def _raising(owner: object, name: str, error: Exception) -> Iterator[None]:
    def fails(*_: object, **__: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fails)
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


TROUBLES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "base model away": ("MODEL_UNAVAILABLE", "cpu", lambda place: _renamed(place / "base")),
    "artifact folder away": ("ARTIFACT_MISSING", "cpu", lambda place: _renamed(place / "artifacts")),
    "artifact folder read-only": (
        "STORAGE_UNAVAILABLE", "cpu", lambda _: _raising(Artifacts, "put", OSError(errno.EROFS, "Read-only")),
    ),
    "disk full": ("DISK_FULL", "cpu", lambda _: _raising(Artifacts, "put", OSError(errno.ENOSPC, "No space left"))),
    "out of memory": (
        "OUT_OF_MEMORY", "cpu", lambda _: _raising(injection, "perform", torch.OutOfMemoryError("no room")),
    ),
    "device away": ("DEVICE_UNAVAILABLE", "nowhere", lambda _: _nothing()),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_fact_waits_for_what_passes_and_is_written_then(small: Place, bases: BaseModels, trouble: str) -> None:
    reason, device, begins = TROUBLES[trouble]
    told: list[Duty] = []

    def waiting(store: Store) -> bool:
        duty = Executors(store.log.engine).at(DEMO).duty
        if duty and duty.reason:
            told.append(duty)
        return bool(told)

    with open_store(small.settings()) as store:
        work(store, bases)
        (fact,) = tell(store, ("Ann Lee", "lives in", "Rome"))
        position = store.log.position()
        with begins(small.folder):  # type: ignore[attr-defined]
            held_up = work(store, BaseModels(device), until=lambda _: waiting(store))

        assert (told[0].work, told[0].attempt, told[0].reason) == ("inject", 1, reason)
        assert told[0].message
        assert (held_up.facts[fact].status, held_up.facts[fact].failures) == (Status.PENDING, 0)
        assert store.log.position() == position
        assert work(store, bases).facts[fact].status is Status.INJECTED
        assert not [one for one in store.log.read(memory=DEMO) if isinstance(one.event, WorkFailed)]
        assert Executors(store.log.engine).at(DEMO).duty is None


def test_a_fact_for_which_memory_always_runs_out_is_parked_and_holds_up_no_other(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.state.work.RETRY_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr("service.executor.waits.FIRST_SECONDS", 0.0)
    tried: list[tuple[FactId, ...]] = []

    def perform(context: Context, owed: Inject, memory: Memory) -> Done:
        tried.append(owed.facts)
        if large in owed.facts:
            raise torch.OutOfMemoryError("no room")
        return inject_facts(context, owed, memory)

    inject_facts = injection.perform
    with open_store(small.settings()) as store:
        work(store, bases)
        large, little = tell(store, ("Ann Lee", "lives in", "Rome"), ("Bo Lind", "lives in", "Oslo"))
        monkeypatch.setattr(injection, "perform", perform)
        after = work(store, bases)

    assert after.facts[large].status is Status.PARKED
    assert after.facts[little].status is Status.INJECTED
    assert tried.count((large,)) == 2 * MEMORY_TRIES
    assert MEMORY_TRIES > 5  # or a machine that is short of memory for a moment parks what is in work


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("service.executor.waits.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def inject(attempt: int = 1) -> Inject:
    return Inject(facts=(FactId("one"),), weights=Digest("w"), attempt=attempt)


ERASE = Erase(fact=FactId("two"), attempt=1)


def test_waits_grow_and_have_a_longest(clock: Clock) -> None:
    waits, pauses = Waits(), []
    for tries in range(1, 2000):
        began = clock.now
        assert waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL")) == tries
        while not waits.due(DEMO, inject()):
            clock.now += 0.5
        pauses.append(clock.now - began)

    assert pauses[:4] == [FIRST_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_SECONDS


def test_another_reason_is_waited_for_from_the_beginning_and_success_ends_every_wait(clock: Clock) -> None:
    waits = Waits()
    for _ in range(5):
        waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL"))
    assert waits.until_it_passes(DEMO, Duty(work="inject", reason="MODEL_UNAVAILABLE")) == 1
    assert not waits.due(DEMO, inject())

    waits.over(DEMO, "inject")

    assert waits.due(DEMO, inject())
    assert waits.put_off(DEMO) is None


def test_what_holds_up_one_kind_of_work_or_one_memory_holds_up_no_other(clock: Clock) -> None:
    waits = Waits()
    waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL"))

    assert not waits.due(DEMO, inject())
    assert waits.due(DEMO, ERASE)
    assert waits.due(MemoryId("other"), inject())
    assert waits.may_look(DEMO)


def test_a_fact_that_failed_waits_for_its_next_attempt_and_another_does_not(clock: Clock) -> None:
    waits = Waits()
    waits.after_failure(DEMO, Duty(work="inject", attempt=2), 10.0)

    assert not waits.due(DEMO, inject(attempt=2))
    assert waits.due(DEMO, inject())
    clock.now += 10.0
    assert waits.due(DEMO, inject(attempt=2))


def test_what_is_put_off_is_told_with_how_long_it_has_been(clock: Clock) -> None:
    waits = Waits()
    waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL", message="no space left"))
    clock.now += 30.0
    waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL", message="no space left"))
    clock.now += 5.0

    assert waits.put_off(DEMO) == Duty(work="inject", reason="DISK_FULL", message="no space left", seconds=35.0)
    assert waits.put_off(MemoryId("other")) is None


def test_a_memory_that_owes_nothing_waits_for_nothing(clock: Clock) -> None:
    waits = Waits()
    assert not waits.all_over(DEMO)
    waits.until_it_passes(DEMO, Duty(work="inject", reason="DISK_FULL"))

    assert waits.all_over(DEMO)
    assert waits.put_off(DEMO) is None
