"""Signs of life of executors: who lives, what is done for a memory, and clocks that jump."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from store.database.executors import FORGOTTEN_SECONDS, LIVE_SECONDS, Duty, Execution, Executors
from store.database.leases import Leases
from store.log.event_log import EventLog
from tests.store.given import DEMO, OTHER


@pytest.fixture
def executors(log: EventLog) -> Executors:
    return Executors(log.engine)


def let_pass(log: EventLog, seconds: float) -> None:
    """As if the database's clock had moved on by `seconds` since all that it wrote."""
    with log.engine.begin() as connection:
        connection.execute(text("UPDATE executors SET seen = seen - :seconds"), {"seconds": seconds})


def test_nobody_lives_before_the_first_sign_of_life(executors: Executors) -> None:
    assert not executors.any_alive()
    assert executors.at(DEMO) == Execution(alive=False, duty=None, elsewhere=None)


def test_an_executor_lives_from_its_first_sign_of_life_until_it_leaves(executors: Executors) -> None:
    executors.beat("first")
    assert executors.any_alive()
    assert executors.at(DEMO) == Execution(alive=True, duty=None, elsewhere=None)

    executors.leave("first")
    assert not executors.any_alive()


def test_an_executor_that_gives_no_sign_of_life_any_more_is_dead(log: EventLog, executors: Executors) -> None:
    executors.beat("killed")
    let_pass(log, LIVE_SECONDS - 1)
    assert executors.any_alive()

    let_pass(log, 2)
    assert not executors.any_alive()


def test_an_executor_that_died_before_the_clock_was_set_back_does_not_live(log: EventLog, executors: Executors) -> None:
    executors.beat("killed")
    let_pass(log, -3600)

    assert not executors.any_alive()


def test_a_new_executor_forgets_those_that_died_long_ago(log: EventLog, executors: Executors) -> None:
    executors.beat("killed")
    let_pass(log, FORGOTTEN_SECONDS + 1)
    executors.beat("new")

    with log.engine.connect() as connection:
        assert connection.execute(text("SELECT owner FROM executors")).scalars().all() == ["new"]


def test_what_a_dead_executor_was_at_is_not_told(log: EventLog, executors: Executors) -> None:
    executors.beat("killed")
    Leases(log.engine).claim(DEMO, "killed", 60, Duty(work="train"))
    let_pass(log, LIVE_SECONDS + 1)
    executors.beat("other")

    assert executors.at(DEMO) == Execution(alive=True, duty=None, elsewhere=None)


def test_a_memory_is_told_which_other_one_is_worked_on_but_not_which_one_waits(
    log: EventLog, executors: Executors
) -> None:
    executors.beat("first")
    leases = Leases(log.engine)
    lease = leases.claim(OTHER, "first", 60, Duty(work="inject"))
    assert lease
    assert executors.at(DEMO) == Execution(alive=True, duty=None, elsewhere=OTHER)

    leases.release(lease, Duty(work="inject", reason="DISK_FULL", message="make room"))
    assert executors.at(DEMO) == Execution(alive=True, duty=None, elsewhere=None)
