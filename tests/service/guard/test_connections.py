"""Connections are as many as wanted where files allow it, and leave the database its files where they do not."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from service.guard.connections import RESERVED, room_for

Limits = Callable[[int, int], list[tuple[int, int]]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Sets the soft and the hard limit of open files, as far as `room_for` sees; returns the limits that it sets."""

    def of(soft: int, hard: int) -> list[tuple[int, int]]:
        changed = list[tuple[int, int]]()
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: changed.append(limits))
        return changed

    return of


def test_a_limit_that_has_room_stays_as_it_is(limits: Limits) -> None:
    changed = limits(20_000, 20_000)

    assert room_for(4096, ports=2) == 4096
    assert changed == []


def test_a_soft_limit_is_raised_as_far_as_connections_need(limits: Limits) -> None:
    changed = limits(1024, 20_000)

    assert room_for(4096, ports=2) == 4096
    assert changed == [(2 * 4096 + RESERVED, 20_000)]


def test_a_hard_limit_leaves_fewer_connections_and_files_beside_them(limits: Limits) -> None:
    changed = limits(1024, 2256)

    assert room_for(4096, ports=2) == 1000
    assert changed == [(2256, 2256)]


def test_without_limits_connections_are_as_many_as_wanted(limits: Limits) -> None:
    unlimited = resource.RLIM_INFINITY
    assert (limits(unlimited, unlimited), room_for(4096, ports=1)) == ([], 4096)

    changed = limits(1024, unlimited)
    assert room_for(4096, ports=1) == 4096
    assert changed == [(4096 + RESERVED, unlimited)]


def test_at_least_one_connection_is_allowed(limits: Limits) -> None:
    limits(64, 64)

    assert room_for(4096, ports=2) == 1
