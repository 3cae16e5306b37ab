"""A demo that is stopped leaves nothing behind: neither its server nor its folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.patience import PATIENCE

AT_WORK = """
import sys, time
from service.demo import steps
from service.cli import main

def create(client):
    print("at work on", client.address, flush=True)
    while True:
        time.sleep(0.1)  # again and again, because a signal that comes just before a sleep does not end it

steps.create = create
sys.argv = ["hypnogram", "demo", "--model", "dormouse"]
main.main()
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_takes_its_server_and_its_folder_with_it(tmp_path: Path, stop: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-c", AT_WORK],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert demo.stdout
        line = next(line for line in demo.stdout if line.startswith("at work on "))
        host, _, port = line.split()[-1].rpartition(":")
        assert list(tmp_path.glob("hypnogram-demo-*"))
        demo.send_signal(stop)
        _, err = demo.communicate(timeout=PATIENCE)

        assert demo.returncode == 130
        assert err.splitlines() == ["stopped before its end"]
        assert not list(tmp_path.glob("hypnogram-demo-*"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
    finally:
        _end_all_of(demo)


def _end_all_of(demo: subprocess.Popen[str]) -> None:
    """Ends the demo and a server that outlived it."""
    with suppress(ProcessLookupError):
        os.killpg(demo.pid, signal.SIGKILL)
    demo.wait()
