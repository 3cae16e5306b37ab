"""Rights cover what they say, and limits count what they should."""

from __future__ import annotations

import time

import pytest

from core.errors.access import NotPermitted, TooManyAnswers, TooManyBytes, TooManyCalls, TooManyFacts
from core.errors.base import InvalidField
from service.guard import limits
from service.guard.limits import Limits
from service.guard.rights import ALL, Caller, Right, check_pattern
from store.database.tokens import Token


def caller(memory: str, may: str) -> Caller:
    token = Token(id="t", actor="ann", memory=memory, may=may, created=0.0, expires=None, revoked=None)
    return Caller("t", token)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("demo", ["demo"], ["demo-2", "dem", "", ALL]),
        ("lab-*", ["lab-1", "lab-"], ["lab", "lap-1", "", ALL]),
        (ALL, ["demo", "", ALL], []),
    ],
)
def test_a_token_reaches_its_memories(pattern: str, inside: list[str], outside: list[str]) -> None:
    who = caller(pattern, "admin")

    assert all(who.may(Right.ADMIN, memory) for memory in inside)
    assert not any(who.may(Right.READ, memory) for memory in outside)


def test_a_right_includes_the_lower_ones() -> None:
    may = {word: [right for right in Right if caller("demo", word).may(right, "demo")] for word in ("read", "write")}

    assert may == {"read": [Right.READ], "write": [Right.READ, Right.WRITE]}
    with pytest.raises(NotPermitted, match="admin memory 'demo'"):
        caller("demo", "write").check(Right.ADMIN, "demo")
    caller("demo", "admin").check(Right.ADMIN, "demo")
    Caller("anyone").check(Right.ADMIN, ALL)  # where no token is asked for


def test_memories_are_created_by_those_with_every_right_on_a_name() -> None:
    assert [caller("lab-*", word).may_create for word in ("read", "write", "admin")] == [False, False, True]
    assert Caller("anyone").may_create


@pytest.mark.parametrize("wrong", ["", "Demo", "a*b", "**", "-", "*a"])
def test_what_is_not_the_name_of_a_memory_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidField):
        check_pattern(wrong)


def test_a_client_gets_a_minute_s_calls_at_once_and_then_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counted = Limits(calls=6, answers=0)
    for _ in range(6):
        counted.calls.use("ann", 1)
    with pytest.raises(TooManyCalls) as refused:
        counted.calls.use("ann", 1)
    assert refused.value.seconds == pytest.approx(10)
    counted.calls.use("bo", 1)

    now += 9.9
    with pytest.raises(TooManyCalls):
        counted.calls.use("ann", 1)
    now += 0.1
    counted.calls.use("ann", 1)
    now += 60
    for _ in range(6):
        counted.calls.use("ann", 1)


def test_bytes_and_facts_are_counted_by_how_many_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counted = Limits(calls=0, answers=0, bytes=600, facts=6)
    counted.bytes.use("ann", 500)
    counted.facts.use("ann", 5)

    with pytest.raises(TooManyBytes, match="has its 600 bytes of requests a minute") as bytes_refused:
        counted.bytes.use("ann", 200)
    with pytest.raises(TooManyFacts, match="has its 6 facts a minute") as facts_refused:
        counted.facts.use("ann", 3)
    assert bytes_refused.value.seconds == pytest.approx(10)
    assert facts_refused.value.seconds == pytest.approx(20)
    counted.bytes.use("ann", 100)
    counted.facts.use("bo", 6)
    now += 20
    counted.facts.use("ann", 3)


def test_what_is_more_than_a_minutes_takes_the_minutes_that_it_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counted = Limits(calls=0, answers=0, facts=6)
    counted.facts.use("ann", 18)
    now += 60
    with pytest.raises(TooManyFacts) as refused:
        counted.facts.use("ann", 1)
    assert refused.value.seconds == pytest.approx(70)

    counted.facts.add("bo", 12)  # used before it was counted
    with pytest.raises(TooManyFacts):
        counted.facts.use("bo", 1)
    now += 70
    counted.facts.use("ann", 1)


def test_clients_that_left_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS", 3)
    counted = Limits(calls=1, answers=0)
    for number in range(10):
        counted.calls.use(f"client-{number}", 1)

    assert len(counted.calls.due) == 3


def test_answers_are_counted_while_they_are_generated() -> None:
    counted = Limits(calls=0, answers=2)
    counted.begin_answer("ann")
    counted.begin_answer("ann")
    with pytest.raises(TooManyAnswers):
        counted.begin_answer("ann")
    counted.begin_answer("bo")
    counted.end_answer("ann")
    counted.begin_answer("ann")


def test_no_limit_is_none() -> None:
    counted = Limits(calls=0, answers=0)
    for _ in range(1000):
        counted.calls.use("ann", 1)
        counted.bytes.use("ann", 10**9)
        counted.facts.use("ann", 10**9)
        counted.begin_answer("ann")

    assert counted.running == 1000
