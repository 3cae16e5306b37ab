"""`hypnogram sleep | nap | sleeps | status` against a real server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from core.ids import FactId
from core.state.sleep import Step
from service.cli.memories import sleep_display
from tests.service.cli.test_commands import ARIA, Terminal
from tests.service.conftest import DEMO, Running
from tests.service.dream import Dream

SLOWLY = ("--set", "training.batch=8", "--steps", "9", "--learning-rate", "0.001", "--rank", "4", "--seed", "3")


@pytest.fixture
def terminal(demo: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal(demo, capsys, monkeypatch)
    terminal.out(*ARIA, "--no-wait")
    demo.work()
    return terminal


class Night:
    """Does the work of a server's memories from a thread, as an executor would."""

    def __init__(self, server: Running, dream: Dream, after: float = 0.0) -> None:
        self._server, self._dream, self._after, self._stop = server, dream, after, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self._stop.wait(self._after)
        while not self._stop.wait(0.02):
            self._server.work(dream=self._dream)


@pytest.fixture
def fact(terminal: Terminal) -> FactId:
    (fact,) = terminal.json("fact", "list")
    return FactId(fact["fact"])


@pytest.fixture
def working(demo: Running, terminal: Terminal) -> Iterator[None]:
    with Night(demo, Dream()):
        yield


@pytest.mark.usefixtures("working")
def test_a_sleep_is_waited_for_and_its_report_is_a_table(terminal: Terminal) -> None:
    status, out, err = terminal.run("sleep", *SLOWLY)

    assert status == 0
    assert "1 advanced, 0 retreated, 0 refreshed, 0 dissolved" in out
    assert "stage 0 -> 1, scale 1 -> 0.5" in out
    assert "2 of 2 probes at scale 0.5" in out
    assert "perplexity 10.000 10.010 (+0.10%)" in " ".join(out.split())
    assert "9 steps" in out
    assert [line.partition(":")[0] for line in err.splitlines()][1:] == [
        "audit before", "train", "rescale", "audit after",
    ]  # fmt: skip


@pytest.mark.usefixtures("working")
def test_a_sleep_as_json_is_its_report(terminal: Terminal) -> None:
    found = terminal.json("sleep", *SLOWLY)

    assert (found["completed"], found["seed"], found["policy"]["training"]["rank"]) == (True, 3, 4)
    assert found["policy"]["training"]["batch"] == 8
    assert [one["scale"] for one in found["advanced"]] == [0.5]
    assert found["began_version"] < found["ended_version"]


@pytest.mark.usefixtures("working")
def test_a_nap_says_how_many_are_healthy(terminal: Terminal) -> None:
    assert "completed: 1 of 1 facts healthy" in terminal.out("nap")
    assert terminal.json("nap", "--probes", "1")["policy"]["probes"] == 1


def test_a_sleep_that_did_harm_is_no_failure_of_the_command(terminal: Terminal, demo: Running) -> None:
    with Night(demo, Dream(perplexity=20.0)):
        out = terminal.out("sleep", "--perplexity-limit", "0.01")

    assert "rolled back (perplexity)" in out
    assert "at most 1.0% is allowed" in out
    listed = terminal.out("sleeps")
    assert "rolled back" in listed
    assert terminal.json("sleeps")[0]["completed"] is False


def test_a_sleep_is_begun_without_waiting_and_followed_later(terminal: Terminal, demo: Running) -> None:
    begun = terminal.json("sleep", "--no-wait", "--request-id", "once")
    again = terminal.json("sleep", "--no-wait", "--request-id", "once")
    assert (begun["sleep"], begun["ended"], begun["step"]) == (again["sleep"], False, "audit")
    demo.work(until=Step.GATE)
    assert f"sleep {begun['sleep']}, at gate" in terminal.out("status")
    with Night(demo, Dream(), after=2.0):  # by then a client follows
        followed = terminal.json("sleep", "--follow")

    assert (followed["sleep"], followed["completed"]) == (begun["sleep"], True)


def test_a_sleep_is_cancelled(terminal: Terminal, demo: Running) -> None:
    terminal.out("sleep", "--no-wait")
    demo.work(until=Step.RESCALE)

    assert "is rolled back; weights" in terminal.out("sleep", "--cancel")
    assert terminal.json("sleeps")[0]["remark"] == "a client cancelled it"
    status, _, err = terminal.run("sleep", "--cancel")
    assert (status, "is awake" in err) == (2, True)


def test_giving_up_waiting_leaves_the_sleep_and_says_how_to_go_on(
    terminal: Terminal, demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(news: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sleep_display, "milestone", impatient)
    status, out, err = terminal.run("sleep")

    assert (status, out) == (130, "")
    assert "goes on" in err
    assert "hypnogram sleep --follow -m demo" in err
    assert "hypnogram sleep --cancel -m demo" in err
    assert demo.client.memory(DEMO).memory.asleep.kind == "sleep"


def test_the_status_names_every_need_and_counts_facts_by_stage(terminal: Terminal, demo: Running, fact: FactId) -> None:
    fresh = terminal.out("status")
    demo.client.begin_nap(DEMO)
    demo.work(dream=Dream(degraded=[fact]))
    napped = terminal.json("status")
    for _ in range(3):
        demo.client.begin_sleep(DEMO)
        demo.work()
    rested = terminal.out("status")

    for need in ("key occupancy", "unachieved", "degraded", "age"):
        assert need in fresh
    assert "1 at stage 0, 0 at stage 1, 0 at stage 2, 0 at stage 3" in fresh
    assert "none yet" in fresh
    assert napped["memory"]["needs"]["degraded"] == napped["memory"]["pressure"] == 1.0
    assert [one["kind"] for one in napped["sleeps"]] == ["nap"]
    assert "0 at stage 0, 0 at stage 1, 0 at stage 2, 1 at stage 3" in rested
    assert "4, the last a sleep that ended at version" in rested
    assert "0 edits, 3 adapters" in rested


def test_a_fact_says_its_stage_and_its_last_audit(terminal: Terminal, demo: Running) -> None:
    demo.client.begin_sleep(DEMO)
    demo.work()

    assert terminal.out("fact", "list").splitlines()[-1].split()[-3:] == ["injected", "1", "healthy"]


def test_the_life_of_a_fact_is_told_with_its_nights(terminal: Terminal, demo: Running, fact: FactId) -> None:
    demo.client.begin_sleep(DEMO)
    demo.work()
    out = terminal.out("lineage", fact)

    assert "advanced: stage 0 -> 1, scale 1 -> 0.5" in out
    assert "at the gate: passes" in out


def test_a_memory_is_created_with_a_policy_of_its_own(terminal: Terminal) -> None:
    created = terminal.json(
        "memory", "create", "careful", "--sleep", "gate=1", "--sleep", "scales=1,0.5,0", "--sleep", "training.rank=8",
        "--capacity", "0.25",
    )["memory"]  # fmt: skip

    assert (created["sleep"]["gate"], created["sleep"]["scales"]) == (1.0, [1.0, 0.5, 0.0])
    assert (created["sleep"]["training"]["rank"], created["capacity"]) == (8, 0.25)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("sleep", "--set", "gait=1"), 2, "the names are scales"),
        (("sleep", "--set", "training.rank=many"), 2, "'many' is not a value for training.rank"),
        (("sleep", "--set", "training=1"), 2, "the names are"),
        (("sleep", "--set", "gate=2"), 1, "policy.gate: is 2.0"),
        (("sleep", "--follow", "--cancel"), 2, "begins no sleep"),
        (("sleep", "--cancel", "--steps", "3"), 2, "begins no sleep"),
        (("sleep", "--follow"), 2, "is awake"),
        (("sleep", "-m", "nowhere"), 1, "hypnogram memory create"),
        (("memory", "create", "new", "--sleep", "gait=1"), 2, "--sleep gait=1"),
    ],
)
def test_a_failure_is_one_line_that_says_what_to_do(
    terminal: Terminal, arguments: tuple[str, ...], status: int, said: str
) -> None:
    found, out, err = terminal.run(*arguments)

    assert (found, out) == (status, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_second_sleep_is_refused_with_what_to_do(terminal: Terminal) -> None:
    terminal.out("sleep", "--no-wait")
    status, _, err = terminal.run("sleep")

    assert status == 1
    assert "hypnogram sleep --follow" in err


@pytest.mark.usefixtures("working")
def test_a_terminal_shows_a_live_display(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    status, out, _ = terminal.run("sleep")

    assert status == 0
    assert "1 advanced" in out
