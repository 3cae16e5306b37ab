"""An executor that is told to stop does so in the middle of any work, and leaves nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from core.state.memory import Memory
from core.state.work import next_work
from service.app.store import Store, open_store
from service.executor import loop, reader
from service.executor.loop import Executor
from service.weights.base_models import BaseModels
from tests.patience import PATIENCE
from tests.prepared import Place, put_in_place, start_sleep, state_of, take_back, tell, work


def told(store: Store, bases: BaseModels) -> None:
    tell(store, ("Tove Marn", "lives in", "Oslo"))
    work(store, bases)


def pending(store: Store, bases: BaseModels) -> None:
    work(store, bases)
    tell(store, ("Ann Lee", "lives in", "Rome"))


def taken_back(store: Store, bases: BaseModels) -> None:
    told(store, bases)
    tell(store, ("Ann Lee", "lives in", "Rome"))
    work(store, bases)
    take_back(store, next(iter(state_of(store).facts)))


def superseded(store: Store, bases: BaseModels) -> None:
    told(store, bases)
    put_in_place(store, next(iter(state_of(store).facts)), "Rome")


def asleep(store: Store, bases: BaseModels) -> None:
    told(store, bases)
    start_sleep(store, seed=1)


OWED: dict[str, Callable[[Store, BaseModels], None]] = {
    "statistics": lambda store, bases: None,
    "an injection": pending,
    "a successor": superseded,
    "a withdrawal": taken_back,
    "a night": asleep,
}


@pytest.mark.parametrize("owed", OWED)
def test_an_executor_stops_in_the_middle_of_its_work_and_records_nothing(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch, owed: str
) -> None:
    with open_store(small.settings()) as store:
        OWED[owed](store, bases)
        before = state_of(store)
        assert next_work(before) is not None
        stop, watched = threading.Event(), Executor._progress

        def told_to_stop(*given: Any) -> Any:
            progress = watched(*given)

            def once_begun(*so_far: Any) -> None:
                stop.set()  # as by SIGTERM, once the work is under way
                progress(*so_far)

            return once_begun

        monkeypatch.setattr(Executor, "_progress", told_to_stop)
        executor = Executor(store.log, store.artifacts, store.snapshots, small.settings(), bases)
        thread = threading.Thread(target=executor.run, args=(stop,))
        thread.start()
        thread.join(PATIENCE)

        assert not thread.is_alive()
        assert state_of(store) == before
        monkeypatch.undo()
        after: Memory = work(store, bases)
        assert after.version > before.version


def test_an_executor_that_has_nothing_to_do_stops_without_waiting_for_its_next_look(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (loop, reader):
        monkeypatch.setattr(module, "IDLE_SECONDS", 2 * PATIENCE)
    with open_store(small.settings()) as store:
        work(store, bases)
        stop, idle, wait = threading.Event(), threading.Semaphore(0), store.log.wait

        def watched(*given: Any) -> int:
            idle.release()
            return wait(*given)

        monkeypatch.setattr(store.log, "wait", watched)
        executor = Executor(store.log, store.artifacts, store.snapshots, small.settings(), bases)
        thread = threading.Thread(target=executor.run, args=(stop,), daemon=True)
        thread.start()
        for _ in range(2):  # the executor and its reader
            assert idle.acquire(timeout=PATIENCE)
        stop.set()
        thread.join(PATIENCE)

        assert not thread.is_alive()
