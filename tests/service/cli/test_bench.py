"""`hypnogram bench` when it is stopped: a measurement of hours is not lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.service.cli.test_commands import Shell

Run = Callable[..., Iterator[dict[str, Any]]]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests may ignore
    yield Shell(capsys, monkeypatch)
    signal.signal(signal.SIGINT, before)


def measuring(rows: int, stop: signal.Signals, closed: list[str]) -> Run:
    """A measurement that is sent a signal after so many rows."""

    def run(**_: Any) -> Iterator[dict[str, Any]]:
        try:
            for night in range(1, rows + 1):
                yield {"bench": "lifelong", "settings": {}, "rows": [{"night": one} for one in range(1, night + 1)]}
            os.kill(os.getpid(), stop)
            raise AssertionError("went on after the signal")
        finally:
            closed.append("its folder")

    return run


def install(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    module = ModuleType("benchmarks.lifelong")
    module.__dict__["run"] = run
    monkeypatch.setitem(sys.modules, "benchmarks.lifelong", module)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_that_is_stopped_prints_what_it_measured_and_cleans_up(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    closed: list[str] = []
    install(monkeypatch, measuring(2, stop, closed))

    status, out, _ = shell.run("bench", "lifelong", "--json")

    document = json.loads(out)
    assert document["rows"] == [{"night": 1}, {"night": 2}]
    assert document["stopped"] is True
    assert status == 130
    assert closed == ["its folder"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_stopped_benchmark_says_so_beside_its_table(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, measuring(1, signal.SIGINT, []))

    _, out, err = shell.run("bench", "lifelong")

    assert "night" in out
    assert "stopped before its end" in err


def test_one_that_is_stopped_before_its_first_row_prints_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, measuring(0, signal.SIGTERM, []))

    status, out, err = shell.run("bench", "lifelong", "--json")

    assert out == ""
    assert "stopped before anything was measured" in err
    assert status == 130


STUBBORN = """
import sys, threading, time
from types import ModuleType
from service.cli import main
from service.terminal import spinner, stopping

def busy():
    end.wait()
    raise RuntimeError("the log is closed")

def run(progress):
    yield {"bench": "repair", "settings": {}, "rows": [{"night": 1}]}
    threading.Thread(target=busy).start()
    worker = threading.Thread(target=time.sleep, args=(3600,))
    worker.start()
    progress(1, 2, "measuring")
    try:
        worker.join()
    finally:
        end.set()

end = threading.Event()
stopping.GRACE_SECONDS, spinner.FIRST = 3.0, 0.1
module = ModuleType("benchmarks.repair")
module.run = lambda progress, seeds: run(progress)
sys.modules["benchmarks.repair"] = module
sys.argv = ["hypnogram", "bench", "repair", "--json"]
main.main()
"""


def test_one_whose_threads_go_on_ends_all_the_same_without_a_traceback() -> None:
    bench = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert bench.stderr
    assert any("measuring: 1 of 2 (" in line for line in bench.stderr)
    bench.send_signal(signal.SIGTERM)
    out, err = bench.communicate(timeout=PATIENCE)

    assert bench.returncode == 130
    assert json.loads(out) == {"bench": "repair", "settings": {}, "rows": [{"night": 1}], "stopped": True}
    assert "Traceback" not in err


def test_a_benchmark_that_ends_is_not_called_stopped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lambda **_: iter([{"bench": "lifelong", "settings": {}, "rows": [{"night": 1}]}]))

    assert shell.json("bench", "lifelong") == {"bench": "lifelong", "settings": {}, "rows": [{"night": 1}]}


def test_a_few_long_rows_are_printed_side_by_side_and_bars_below(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{f"share_{number}": number * seed for number in range(20)} for seed in (1, 2)]
    bars = [{"bar": "share_1", "verdict": "MISS"}]
    install(monkeypatch, lambda **_: iter([{"bench": "lifelong", "settings": {}, "rows": rows, "bars": bars}]))

    lines = shell.out("bench", "lifelong").splitlines()

    assert ["share_19", "19", "38"] in [line.split() for line in lines]
    assert lines[-1].split() == ["share_1", "MISS"]


@pytest.mark.parametrize("wrong", ["0", "5,-1", "five"])
def test_a_number_of_facts_that_is_none_is_refused(shell: Shell, wrong: str) -> None:
    status, _, said = shell.run("bench", "sleep", "--facts", wrong)

    assert status == 2
    assert "--facts" in said


def test_faults_are_counted_and_nothing_is_lost_to_a_few(shell: Shell) -> None:
    document = shell.json("bench", "faults", "--kills", "4", "--second", "1", "--only", "kills,second")

    rows = document["rows"]
    assert [row["what"].split()[-1] for row in rows] == ["telling", "sleeping", "erasing", "importing", "-9"]
    assert [(row["tried"], row["survived"], row["lost"]) for row in rows] == [(1, 1, 0)] * 5


def test_a_part_of_the_faults_that_there_is_not_is_refused(shell: Shell) -> None:
    status, _, said = shell.run("bench", "faults", "--only", "kills,fire")

    assert status == 2
    assert "fire" in said
