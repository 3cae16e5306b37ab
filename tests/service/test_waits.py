"""No command waits in silence: what is said, when, and what is durable when time runs out."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypnogram.v1 import memories_pb2

from core.ids import MemoryId
from core.state.work import PrepareStatistics
from hypnogram.client import Client
from service.app.progress import StepProgress
from service.settings import Settings
from service.terminal import reasons, spinner
from store.database.executors import Duty, Executors
from store.database.leases import Leases
from tests.patience import PATIENCE, eventually
from tests.service.cli.test_commands import ARIA, Shell, Terminal
from tests.service.conftest import DEMO, Running, run_server

SOON = 0.3  # seconds; short beside what a command that waits takes


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(demo, capsys, monkeypatch)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spinner, "FIRST", 0.05)
    monkeypatch.setattr(spinner, "EVERY", 0.05)


def test_a_wait_that_is_short_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spinner, "FIRST", 60.0)

    with spinner.waiting("the moon"):
        pass

    assert capsys.readouterr().err == ""


def test_a_long_one_is_said_again_and_again_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    enough = threading.Event()

    def what() -> str:
        said.append("")
        if len(said) == 3:
            enough.set()
        return f"moon {len(said)}"

    with spinner.waiting(what):
        assert enough.wait(PATIENCE)

    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("hypnogram: waiting for moon 1 (")
    assert lines[1].startswith("hypnogram: waiting for moon 2 (")


def test_nothing_is_said_after_the_wait(capsys: pytest.CaptureFixture[str]) -> None:
    with spinner.waiting("the moon"):
        pass
    capsys.readouterr()
    time.sleep(3 * spinner.FIRST)

    assert capsys.readouterr().err == ""


def test_progress_goes_into_a_file_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with spinner.progress(quiet=False) as bar:
        bar(3, 7, "counting sheep")
        eventually(lambda: "counting sheep: 3 of 7 (" in capsys.readouterr().err)


def test_a_fact_without_an_executor_is_told_and_says_what_it_waits_for(terminal: Terminal, demo: Running) -> None:
    status, out, err = terminal.run(*ARIA, "--timeout", str(SOON))

    (fact,) = demo.client.facts(DEMO)
    assert status == 1
    assert out == ""
    assert "waiting for an executor, and none is running" in err
    assert f"fact {fact.fact} is added and durable" in err
    assert "hypnogram fact show" in err
    assert "Deadline Exceeded" not in err


@pytest.mark.parametrize("command", ["supersede", "retract"])
def test_what_is_amended_is_durable_when_time_runs_out(terminal: Terminal, demo: Running, command: str) -> None:
    terminal.run(*ARIA, "--no-wait")
    demo.work()
    (fact,) = demo.client.facts(DEMO)
    arguments = (fact.fact, "Porto") if command == "supersede" else (fact.fact,)

    status, _, err = terminal.run("fact", command, *arguments, "--timeout", str(SOON))

    assert status == 1
    assert "durable" in err
    assert "Deadline Exceeded" not in err
    assert demo.client.fact(DEMO, fact.fact).fact.retracted_version or len(list(demo.client.facts(DEMO))) == 2


def answer(**execution: Any) -> memories_pb2.GetMemoryResponse:
    counts = memories_pb2.FactCounts(pending=2)
    return memories_pb2.GetMemoryResponse(
        memory=memories_pb2.Memory(memory=DEMO, facts=counts),
        execution=memories_pb2.Execution(**{"alive": True, **execution}),
    )


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        ({"alive": False}, "none is running"),
        ({"work": "prepare_statistics"}, "the statistics of the base model"),
        (
            {"work": "prepare_statistics", "stage": "generating text", "done": 3, "total": 9, "seconds_left": 41.4},
            "measured once: generating text, 3 of 9, about 41 s left",
        ),
        ({"work": "prepare_statistics", "stage": "measuring", "total": 9}, "measured once: measuring, 0 of 9"),
        ({"work": "inject"}, "the executor to write facts into the weights; 2 facts are pending"),
        ({"work": "inject", "waits_for": "room on the disk", "reason": "DISK_FULL"}, "room on the disk (DISK_FULL)"),
        ({"elsewhere": "other"}, "an executor, which works for memory other"),
        ({}, "an executor to come to memory demo"),
    ],
)
def test_each_wait_has_its_words(execution: dict[str, Any], words: str) -> None:
    assert words in reasons.of_memory(answer(**execution))


def preparing(demo: Running, done: int) -> None:
    """Lets an executor be at work on the statistics of the memory `new`."""
    stage = StepProgress(PrepareStatistics(attempt=1), done, 9, None, "generating text", 41.4)
    demo.board.write(MemoryId("new"), stage)


def test_a_new_memory_waits_until_it_is_prepared_and_says_for_how_long(terminal: Terminal, demo: Running) -> None:
    executors, leases = Executors(demo.store.log.engine), Leases(demo.store.log.engine)
    executors.beat("executor")
    leases.claim(MemoryId("new"), "executor", 60.0, Duty(work=PrepareStatistics.name))
    preparing(demo, 3)
    threading.Thread(target=_prepared_once_asked, args=(demo,)).start()

    status, out, err = terminal.run("memory", "create", "new")

    assert status == 0, err
    assert "generating text, 3 of 9, about 41 s left" in err
    assert "not measured yet" not in out


def _prepared_once_asked(demo: Running) -> None:
    """Prepares the memory `new` some time after it was created."""
    eventually(lambda: "new" in {listed.memory for listed in demo.store.log.listed()})
    time.sleep(20 * spinner.EVERY)
    demo.work("new")


def test_a_new_memory_does_not_wait_without_an_executor_or_where_it_was_not_asked_to(
    terminal: Terminal, demo: Running
) -> None:
    assert "not measured yet" in terminal.out("memory", "create", "new")
    Executors(demo.store.log.engine).beat("executor")

    assert "not measured yet" in terminal.out("memory", "create", "newer", "--no-wait")
    assert "not measured yet" in terminal.out("memory", "create", "newest", "--timeout", str(SOON))


def test_a_fact_told_in_the_night_says_so() -> None:
    asleep = answer(work="train")
    asleep.memory.asleep.CopyFrom(memories_pb2.Asleep(sleep="x", kind="sleep", step="train"))

    assert "memory demo to wake: its sleep is at train" in reasons.of_memory(asleep)


def test_a_server_that_does_not_say_leaves_words_all_the_same() -> None:
    with Client("127.0.0.1:1") as nowhere:
        assert reasons.for_memory(nowhere, DEMO)() == "the server to respond"


def test_an_error_in_a_file_names_its_line_and_what_was_told(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("fact", "add", "Ann Lee", "lives in", "Rome", "--no-wait")
    rows = [{"subject": f"Person {n}", "relation": "lives in", "object": "Rome"} for n in range(300)]
    rows[280] = {"subject": "Ann Lee", "relation": "lives in", "object": "Oslo"}
    file = tmp_path / "facts.jsonl"
    file.write_text("\n" + "\n".join(map(json.dumps, rows)))  # the first line is empty

    status, _, err = terminal.run("fact", "add", "-f", str(file), "--no-wait")

    assert status == 1
    assert "line 282" in err
    assert "facts[" not in err
    assert "the 256 facts before line 258 are added and durable" in err


def test_a_command_waits_for_a_server_that_is_starting(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_server(settings) as running:
        port = running.address.rpartition(":")[2]
    said, waits = list[str](), threading.Event()

    def write(line: str) -> None:
        said.append(line)
        waits.set()

    monkeypatch.setattr(spinner, "_write", write)
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_PORT", port)
    monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", "120")
    answers: list[tuple[int, str, str]] = []
    command = threading.Thread(target=lambda: answers.append(shell.run("memory", "list")))

    command.start()
    assert waits.wait(PATIENCE)
    with run_server(settings.model_copy(update={"port": int(port)})):
        command.join(60)

    ((status, out, _),) = answers
    assert status == 0
    assert "memory" in out
    assert said[0].startswith(f"waiting for the server at 127.0.0.1:{port} to start (")


def test_a_server_that_does_not_start_is_not_waited_for_for_ever(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", str(SOON))

    status, _, err = shell.run("memory", "list", "--address", "127.0.0.1:1")

    assert status == 1
    assert "no server responds there" in err


def test_a_connection_says_whether_a_server_is_up(demo: Running) -> None:
    with Client(demo.address) as there, Client("127.0.0.1:1") as nowhere:
        assert there.up(30)
        assert not nowhere.up(0)
