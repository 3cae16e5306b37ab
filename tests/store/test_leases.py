"""Leases: one executor works on a memory at a time, as long as it says so."""

import pytest

from store.leases import Leases
from store.log import EventLog
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
