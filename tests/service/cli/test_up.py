"""`hypnogram up` as a user meets it: a process on a terminal, or in a pipe, and what is left when it has gone."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.support.tiny import make
from hypnogram.client import Client
from tests.patience import PATIENCE
from tests.service.conftest import DEMO, Running

INTERRUPT = "\x03"
ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C comes from it
os.execv(sys.executable, [sys.executable, "-m", "service.cli.main", *sys.argv[1:]])
"""


class Terminal:
    """A terminal on which a command runs."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.text, self._read = "", 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *arguments],
            env=dict(environment) | {"TERM": "xterm", "COLUMNS": "120", "PROMPT_TOOLKIT_NO_CPR": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._theirs = theirs  # kept open, so that its attributes can be read in the end

    def until(self, pattern: str) -> re.Match[str]:
        """Reads until the pattern is shown, behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while not (match := re.compile(pattern).search(self.text, self._read)):
            assert time.monotonic() < deadline, self.text
            assert self.process.poll() is None, self.text
            self.read(1.0)
        self._read = match.end()
        return match

    def read(self, seconds: float) -> None:
        if select.select([self._ours], [], [], seconds)[0]:
            self.text += os.read(self._ours, 65536).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ended(self) -> int:
        """The exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self.read(0.1)
        while select.select([self._ours], [], [], 0.1)[0]:
            self.read(0)
        return self.process.returncode

    def echoes(self) -> bool:
        """Whether what is typed is shown again, as before the command."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self._ours, self._theirs):
            os.close(end)


def environment_in(folder: Path, **settings: str) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{folder}/hypnogram.db",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(folder / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(folder / "snapshots"),
        "HYPNOGRAM_MODEL_FOLDER": str(folder / "models"),
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_STOP_SECONDS": "1",
        **settings,
    }


@pytest.fixture
def at_terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Runs `hypnogram up` on a terminal."""
    terminals: list[Terminal] = []

    def run(*arguments: str, **settings: str) -> Terminal:
        terminals.append(Terminal(("up", *arguments), environment_in(tmp_path, **settings)))
        return terminals[-1]

    yield run
    for terminal in terminals:
        terminal.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make(tmp_path_factory.mktemp("tiny") / "base"))


def started(terminal: Terminal) -> tuple[str, int]:
    """The host and port of the server that the command has started."""
    host, _, port = terminal.until(r"started a server on (\S+);")[1].rpartition(":")
    return host, int(port)


def is_there(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_asks_for_a_model_then_chats_and_leaves_nothing_but_the_memory(
    at_terminal: Callable[..., Terminal], tmp_path: Path, tiny: str
) -> None:
    terminal = at_terminal()
    address = started(terminal)

    terminal.until(r"dormouse \(included[\s\S]*model pull smollm2[\s\S]*Base model \[dormouse\]: ")
    terminal.type("nosuch\n")
    terminal.until("nosuch is not one of them")
    terminal.type(f"{tiny}\n")
    terminal.until("memory demo; /help lists the commands")
    terminal.until(">")
    terminal.type("/status\r")
    terminal.until("memory demo, version 2: 0 facts in the weights")
    terminal.until(">")
    assert is_there(address)
    terminal.type(f"abandoned{INTERRUPT}")
    terminal.until(r"abandoned[\s\S]*\?2004l[\s\S]*\?2004h[\s\S]*>")  # that prompt has ended, and another begun
    terminal.type(INTERRUPT)

    assert terminal.ended() == 0
    assert terminal.echoes()
    assert not is_there(address)

    # when it is run the next time, then the memory is there
    again = piped("up", "--model", tiny, environment=environment_in(tmp_path))
    assert again.returncode == 0, again.stderr
    assert "statistics" not in again.stdout
    assert f"memory demo is there already, on {tiny}; --model is for a new one" in again.stderr
    assert again.stdout.startswith("started a server on 127.0.0.1:")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_what_it_started_and_leaves_the_terminal_as_it_was(
    at_terminal: Callable[..., Terminal], tiny: str, stop: signal.Signals
) -> None:
    terminal = at_terminal("--model", tiny)
    address = started(terminal)
    terminal.until("/help lists the commands")
    terminal.until(">")

    terminal.process.send_signal(stop)

    assert terminal.ended() == 128 + stop
    assert terminal.echoes()
    assert not is_there(address)


def test_dormouse_is_included_under_its_name(tmp_path: Path) -> None:
    run = piped("up", "--model", "dormouse", "--memory", "lab", environment=environment_in(tmp_path))

    assert run.returncode == 0, run.stderr
    assert "dormouse" in run.stdout


def test_a_server_that_runs_is_used_and_goes_on(demo: Running) -> None:
    port = demo.address.rpartition(":")[2]

    run = piped("up", environment=environment_in(demo.settings.artifact_folder.parent, HYPNOGRAM_PORT=port))

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"a server runs on 127.0.0.1:{port} already; it is used, and goes on after the chat\n")
    assert "Where am I?" in run.stdout  # a parrot answers
    with Client(demo.address) as client:
        assert client.memory(DEMO).version


def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    run = piped("up", environment=environment_in(tmp_path, HYPNOGRAM_TLS_KEY=str(tmp_path / "none.pem")))

    assert run.returncode == 2
    (line,) = (line for line in run.stderr.splitlines() if "waiting for" not in line)
    assert line.startswith("hypnogram: the server did not start: ")
    assert "tls" in line


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        environment = environment_in(tmp_path, HYPNOGRAM_PORT=port, HYPNOGRAM_SERVER_SECONDS="1")
        run = piped("up", environment=environment)

    assert run.returncode == 2
    assert f"another program listens at 127.0.0.1:{port}" in run.stderr


def piped(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli.main", *arguments],
        env=environment,
        input="Where am I?\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
