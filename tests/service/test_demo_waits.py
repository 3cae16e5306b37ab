"""The demo is never silent for long, wherever its words go."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from service import demo_waits
from service.cli import waiting
from service.demo_waits import meanwhile


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST", 0.02)
    monkeypatch.setattr(demo_waits, "EVERY", 0.02)


def test_a_file_gets_a_line_now_and_then_with_the_newest_words() -> None:
    console = Console(file=io.StringIO())

    with meanwhile(console, "night 1") as now:
        _until(console, "... night 1 (")
        now("night 1: train 5 of 300")
        _until(console, "... night 1: train 5 of 300 (")


def _until(console: Console, words: str) -> None:
    assert isinstance(console.file, io.StringIO)
    for _ in range(3000):
        if words in console.file.getvalue():
            return
        time.sleep(0.02)
    raise AssertionError(f"{words!r} is not in {console.file.getvalue()!r}")
