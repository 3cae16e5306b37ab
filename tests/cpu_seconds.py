"""A plugin, `-p tests.cpu_seconds`: what tests cost in CPU time, their processes included, by test and by file.

Unlike durations this does not depend on what else the machine does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator

import pytest

LISTED = 100  # tests
NAME = "cpu_seconds"


def spent() -> float:
    """CPU seconds of this process and of those that it started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _Clock:
    last = spent()


_seconds: dict[str, float] = defaultdict(float)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    now = spent()
    report.user_properties.append((NAME, now - _Clock.last))
    _Clock.last = now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name == NAME and isinstance(value, float):
            _seconds[report.nodeid] += value


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    files: dict[str, float] = defaultdict(float)
    for test, seconds in _seconds.items():
        files[test.partition("::")[0]] += seconds
    for title, costs, listed in (("tests", _seconds, LISTED), ("files", files, len(files))):
        terminalreporter.section(f"CPU seconds of {title}, {sum(costs.values()):.0f} in all")
        for name in sorted(costs, key=costs.__getitem__, reverse=True)[:listed]:
            terminalreporter.write_line(f"{costs[name]:8.2f} {name}")
