"""Leases: one executor works on a memory at a time, as long as it says so."""

import time

import pytest

from store.database.executors import Duty, Executors
from store.database.leases import Leases
from store.log.event_log import EventLog
from tests.store.given import DEMO, OTHER


@pytest.fixture
def leases(log: EventLog) -> Leases:
    return Leases(log.engine)


def test_one_owner_at_a_time(leases: Leases) -> None:
    assert leases.claim(DEMO, "first", seconds=60)
    assert leases.claim(DEMO, "second", seconds=60) is None
    assert leases.claim(OTHER, "second", seconds=60)


def test_a_later_claim_has_a_higher_fence(leases: Leases) -> None:
    first = leases.claim(DEMO, "first", seconds=0)
    second = leases.claim(DEMO, "second", seconds=60)
    again = leases.claim(DEMO, "second", seconds=60)

    assert first
    assert second
    assert again
    assert first.fence < second.fence < again.fence


def test_a_renewed_lease_lasts(leases: Leases) -> None:
    first = leases.claim(DEMO, "first", seconds=0)
    assert first

    assert leases.renew(first, seconds=60)
    assert leases.claim(DEMO, "second", seconds=60) is None


def test_a_released_lease_is_free_at_once(leases: Leases) -> None:
    first = leases.claim(DEMO, "first", seconds=60)
    assert first

    assert leases.release(first)
    assert leases.claim(DEMO, "second", seconds=60)


def test_a_lease_somebody_else_has_claimed_since_is_over(leases: Leases) -> None:
    first = leases.claim(DEMO, "first", seconds=0)
    assert first
    assert leases.claim(DEMO, "second", seconds=60)

    assert not leases.renew(first, seconds=60)
    assert not leases.release(first)
    assert leases.claim(DEMO, "third", seconds=60) is None


def test_a_lease_taken_before_the_clock_was_set_back_ends_after_its_seconds_all_the_same(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, steady = [time.time() + 3600], [1000.0]
    monkeypatch.setattr("store.database.leases.time.time", lambda: wall[0])
    monkeypatch.setattr("store.database.leases.time.monotonic", lambda: steady[0])
    killed, waiting = Leases(log.engine), Leases(log.engine)
    assert killed.claim(DEMO, "killed", seconds=30)
    wall[0] -= 3600
    assert waiting.claim(DEMO, "waiting", seconds=5) is None

    steady[0] += 29
    assert waiting.claim(DEMO, "waiting", seconds=5) is None
    steady[0] += 2
    assert waiting.claim(DEMO, "waiting", seconds=5)


def test_a_lease_that_is_renewed_outlives_no_patience(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = [time.time() + 3600], [1000.0]
    monkeypatch.setattr("store.database.leases.time.time", lambda: wall[0])
    monkeypatch.setattr("store.database.leases.time.monotonic", lambda: steady[0])
    alive, waiting = Leases(log.engine), Leases(log.engine)
    lease = alive.claim(DEMO, "alive", seconds=30)
    assert lease
    wall[0] -= 60  # not as far as the lease lasts beyond it

    for _ in range(6):
        assert waiting.claim(DEMO, "waiting", seconds=30) is None
        steady[0] += 10
        wall[0] += 10
        assert alive.renew(lease, seconds=30)


def test_a_clock_set_forward_ends_a_lease_early_and_its_owner_is_told(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = leases.claim(DEMO, "first", seconds=30)
    assert first
    ahead = time.time() + 3600
    monkeypatch.setattr("store.database.leases.time.time", lambda: ahead)

    assert leases.claim(DEMO, "second", seconds=30)
    assert not leases.renew(first, seconds=30)


def test_a_lease_says_what_it_is_for_and_what_was_put_off(log: EventLog, leases: Leases) -> None:
    executors = Executors(log.engine)
    executors.beat("first")
    lease = leases.claim(DEMO, "first", seconds=60, duty=Duty(work="inject", attempt=2))
    assert lease
    doing = executors.at(DEMO).duty
    assert doing
    assert (doing.work, doing.attempt, doing.reason, doing.message) == ("inject", 2, "", "")

    leases.release(lease, Duty(work="inject", attempt=2, seconds=90.0, reason="DISK_FULL", message="make room"))
    waiting = executors.at(DEMO).duty
    assert waiting
    assert (waiting.work, waiting.reason, waiting.message) == ("inject", "DISK_FULL", "make room")
    assert 89 < waiting.seconds < 120

    again = leases.claim(DEMO, "first", seconds=60, duty=Duty(work="inject", attempt=2))
    assert again
    leases.release(again)
    assert executors.at(DEMO).duty is None
