"""What commands print is for people: in one order, with its reason, in words rather than in enums."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import typer
from hypnogram.v1 import sleep_pb2

from service.cli.history import log
from service.cli.main import app
from service.cli.memories import sleep_display
from service.cli.output import _whole
from service.cli.sections import Sections
from service.report import page
from service.report.timeline import Audit
from tests.service.cli.test_commands import ARIA, Shell, Terminal
from tests.service.conftest import Running


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(demo, capsys, monkeypatch)


def test_fields_of_an_event_come_in_one_order_whatever_order_they_arrive_in() -> None:
    payload: dict[str, Any] = {"reason": "because " * 50, "work": "inject", "attempt": 2, "fact": "x" * 60, "none": ""}
    backwards = dict(reversed(payload.items()))

    line = log._in_short(payload)

    assert line == log._in_short(backwards)
    assert line == f"attempt=2  fact={'x' * 40}  work=inject  reason={'because ' * 50}"
    assert list(_whole(payload)) == list(_whole(backwards)) == sorted(payload)


def test_a_fact_is_shown_in_words(terminal: Terminal) -> None:
    terminal.run(*ARIA, "--no-wait")
    fact = terminal.json("fact", "list")[0]["fact"]

    shown = terminal.out("fact", "show", fact)

    assert "pending" in shown
    assert "STATUS_" not in shown
    assert "['" not in shown
    assert "False" not in shown


def test_versions_are_called_versions(terminal: Terminal) -> None:
    terminal.run("checkpoint", "mark", "monday")

    assert "marked at version" in terminal.out("checkpoint", "list")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert Shell(capsys, monkeypatch).out("--version").startswith("hypnogram 0.")


def test_help_lists_every_command_once_in_a_section(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Shell(capsys, monkeypatch).out("--help")

    group = typer.main.get_command(app)
    assert isinstance(group, Sections)
    listed = [line.split()[0] for line in said.partition("Talk:")[2].splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(group.commands)


def test_a_foreign_package_does_not_warn_about_another() -> None:
    assert not logging.getLogger("bitsandbytes.backends.cpu.ops").isEnabledFor(logging.WARNING)


def test_a_step_that_counts_nothing_does_not_show_the_count_of_the_one_before() -> None:
    from rich.progress import Progress

    bars = Progress(disable=True)
    display = sleep_display._Display(bars, "sleep")
    display.show(sleep_pb2.WatchSleepResponse(progress=sleep_pb2.StepProgress(step="train", done=50, total=300)))
    display.show(sleep_pb2.WatchSleepResponse(step=sleep_pb2.StepReached(step="gate")))

    (task,) = bars.tasks
    assert (task.description, task.completed, task.total) == ("gate", 0, None)


def test_the_report_says_at_its_top_what_fell_although_nobody_touched_it() -> None:
    audit = Audit(
        version=9, rested=False, healthy=2, asked=2, unanswered=0.61, neighbours=1.0, strangers=0.9, perplexity=3.0,
        base_perplexity=3.0,
    )  # fmt: skip

    assert page._locality(audit) == ("61.0%", "unchanged; unanswered 61.0%, strangers 90.0%")
    assert page._locality(replace(audit, unanswered=1.0, strangers=1.0)) == ("100.0%", "unchanged")
    assert page._locality(None) == ("–", "no audit yet")


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("/opt/models/dormouse/weights/", "dormouse"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ("weights", "weights"),
    ],
)
def test_the_report_calls_a_base_by_a_name_of_its_own(name: str, called: str) -> None:
    assert page._base_name(name) == called
