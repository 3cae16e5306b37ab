"""Memories take turns: what one owes, or suffers from, holds up no other by more than a piece of work."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError, OperationalError

from core.decide.commands import CreateMemory
from core.errors.base import Damaged, EventUnknown
from core.events.facts import EditComputed
from core.events.history import FactErased
from core.events.memory import StatisticsPrepared
from core.events.sleep import SleepCompleted
from core.ids import MemoryId
from core.state.memory import Status
from core.state.work import Work
from service.app import erasure
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.app.supervision import run_on
from service.weights.base_models import BaseModels
from store.log.listing import Listed
from tests.prepared import CAUSE, DEMO, Place, start_sleep, state_of, take_back, tell, work

FIRST, LAST = MemoryId("aaa"), MemoryId("zzz")  # in the order of names `demo` is between them


def also(store: Store, memory: MemoryId) -> None:
    """One more memory like `demo`, whose statistics are prepared."""
    demo = state_of(store)
    assert demo.created
    command = CreateMemory(memory=memory, created=replace(demo.created, seed=demo.created.seed + 1))
    MemoryRepository(store.log, store.snapshots).execute(memory, lambda _: command, CAUSE)


def order(store: Store, *kinds: type) -> list[str]:
    """The memories whose events of these kinds stand in the log, in its order."""
    return [one.memory for one in store.log.read(limit=10_000) if isinstance(one.event, kinds)]


@pytest.mark.parametrize("facts", [5, 21])
def test_one_fact_waits_for_one_piece_of_work_of_a_memory_that_was_told_many(
    small: Place, bases: BaseModels, facts: int
) -> None:
    with open_store(small.settings()) as store:
        also(store, LAST)
        work(store, bases)
        work(store, bases, memory=LAST)
        tell(store, *((f"Busy Bee{number}", "lives in", "Rome") for number in range(facts)))
        tell(store, ("Zed Moss", "lives in", "Rome"), memory=LAST)

        work(store, bases)

        first, second, *rest = order(store, EditComputed)
        assert (first, second, set(rest)) == (DEMO, LAST, {DEMO})
        assert len(rest) >= -(-facts // 4) - 1  # batches of four, and those of facts that had to be tried again


def test_one_fact_waits_for_one_step_of_the_night_of_another_memory(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        also(store, LAST)
        tell(store, ("Tove Marn", "lives in", "Oslo"))
        work(store, bases)
        work(store, bases, memory=LAST)
        start_sleep(store, seed=3)
        tell(store, *((f"Zed Moss{number}", "lives in", "Rome") for number in range(8)), memory=LAST)

        work(store, bases)

        assert order(store, EditComputed, SleepCompleted) == [DEMO, LAST, LAST, DEMO]


def test_a_new_memory_does_not_wait_until_another_owes_nothing(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        work(store, bases)
        tell(store, *((f"Busy Bee{number}", "lives in", "Rome") for number in range(8)))
        also(store, LAST)

        work(store, bases)

        assert order(store, EditComputed, StatisticsPrepared) == [DEMO, DEMO, LAST, DEMO]


TROUBLES = {
    "an event of a newer version": EventUnknown("OfANewerServer", 1),
    "a damaged row": Damaged("position 3 cannot be read"),
    "a row the database cannot read": DatabaseError("SELECT", {}, Exception("disk image is malformed")),
    "a bug": ZeroDivisionError(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_memory_that_cannot_be_read_holds_up_no_other(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    with open_store(small.settings()) as store:
        also(store, FIRST)
        read, tried = store.log.read, []

        def reads(**given: Any) -> Any:
            if given.get("memory") == FIRST:
                tried.append(FIRST)
                raise TROUBLES[trouble]
            return read(**given)

        monkeypatch.setattr(store.log, "read", reads)
        (fact,) = tell(store, ("Ann Lee", "lives in", "Rome"))

        assert work(store, bases).facts[fact].status is Status.INJECTED
        assert tried
        monkeypatch.undo()
        assert work(store, bases, memory=FIRST).statistics  # and it is looked at again


def test_an_executor_outlives_whatever_its_rounds_run_into(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Exception] = [OperationalError("", {}, Exception("away")), MemoryError(), ZeroDivisionError()]
    with open_store(small.settings()) as store:
        listed = store.log.listed

        def at_last() -> list[Listed]:
            if raised:
                raise raised.pop()
            return listed()

        monkeypatch.setattr(store.log, "listed", at_last)

        assert work(store, bases).statistics
        assert not raised


def test_an_executor_that_ends_before_it_shall_is_run_again() -> None:
    stop, runs = threading.Event(), []

    class Dying:
        def run(self, stop: threading.Event) -> None:
            runs.append(stop)
            if len(runs) == 3:
                stop.set()
            elif len(runs) == 2:
                raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.app.supervision.RESTART_SECONDS", 0.0)
        run_on(Dying(), stop)

    assert runs == [stop] * 3


def test_an_erasure_does_not_wait_for_facts_that_wait_for_their_base_model(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        (fact,) = tell(store, ("Tove Marn", "lives in", "Oslo"))
        work(store, bases)
        take_back(store, fact)
        work(store, bases)
        tell(store, ("Ann Lee", "lives in", "Rome"))
        (small.folder / "base").rename(small.folder / "away")
        take_back(store, fact, erase=True)

        after = work(store, BaseModels("cpu"), until=lambda memory: memory.facts[fact].erased)

        assert len(after.pending) == 1


def test_an_erasure_waits_for_one_piece_of_writing_and_never_happens_in_a_sleep(
    small: Place, bases: BaseModels
) -> None:
    with open_store(small.settings()) as store:
        (fact, _) = tell(store, ("Tove Marn", "lives in", "Oslo"), ("Bo Lind", "lives in", "Lima"))
        work(store, bases)
        take_back(store, fact)
        work(store, bases)
        begun = len(order(store, EditComputed))
        tell(store, *((f"Busy Bee{number}", "lives in", "Rome") for number in range(9)))
        take_back(store, fact, erase=True)

        work(store, bases)

        kinds = [one.event for one in store.log.read(limit=10_000) if isinstance(one.event, (EditComputed, FactErased))]
        assert [type(one) for one in kinds[begun:]] == [EditComputed, FactErased, EditComputed, EditComputed]


def test_an_erasure_that_fails_is_tried_as_often_as_it_may_while_facts_are_pending(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError

    with open_store(small.settings()) as store:
        (fact,) = tell(store, ("Tove Marn", "lives in", "Oslo"))
        work(store, bases)
        take_back(store, fact)
        work(store, bases)
        tell(store, ("Ann Lee", "lives in", "Rome"))
        (small.folder / "base").rename(small.folder / "away")
        monkeypatch.setattr(erasure, "erase_fact", fails)
        take_back(store, fact, erase=True)
        waits: list[int] = []

        def seconds_before(work: Work) -> float:
            waits.append(work.attempt)
            return 0.0

        monkeypatch.setattr("service.executor.loop.seconds_before", seconds_before)

        after = work(store, BaseModels("cpu"), until=lambda memory: not memory.pending_erasure)

        assert not after.facts[fact].erased
        assert waits == [2, 3]


def test_executors_of_the_server_and_of_processes_share_a_log_and_its_turns(small: Place, bases: BaseModels) -> None:
    with open_store(small.settings()) as store:
        also(store, FIRST)
        also(store, LAST)
        for memory in (FIRST, DEMO, LAST):
            tell(store, *((f"Busy Bee{number}", "lives in", "Rome") for number in range(6)), memory=memory)

        work(store, bases, executors=2)
        for memory in (FIRST, LAST):
            work(store, bases, executors=2, memory=memory)

        assert {memory: order(store, EditComputed).count(memory) for memory in (FIRST, DEMO, LAST)} == {
            FIRST: 2, DEMO: 2, LAST: 2,
        }  # fmt: skip
