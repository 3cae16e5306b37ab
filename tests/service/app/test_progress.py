"""The time that a stage of work still takes is told by its pace."""

from __future__ import annotations

import time

import pytest

from service.app.progress import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the monotonic clock, which a test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_rest_takes_as_long_a_step_as_the_steps_so_far(clock: list[float]) -> None:
    pace = Pace()
    assert pace.seconds_left("generating", 0, 10) is None
    clock[0] += 4.0

    assert pace.seconds_left("generating", 2, 10) == pytest.approx(16.0)


def test_steps_that_were_done_before_say_nothing_about_the_pace(clock: list[float]) -> None:
    pace = Pace()
    pace.seconds_left("generating", 8, 10)
    clock[0] += 3.0

    assert pace.seconds_left("generating", 9, 10) == pytest.approx(3.0)


def test_another_stage_has_another_pace(clock: list[float]) -> None:
    pace = Pace()
    pace.seconds_left("generating", 0, 10)
    clock[0] += 4.0

    assert pace.seconds_left("measuring", 5, 10) is None
