"""A log that cannot be written does no harm: neither to the call that logs, nor to the executor, nor to the process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from core.state.memory import Status
from hypnogram.client import Client, new_fact
from service.app.store import open_store
from service.log_setup import configure
from service.weights.base_models import BaseModels
from tests.patience import PATIENCE
from tests.prepared import Place, tell, work
from tests.service.conftest import DEMO, Running


class Full(io.StringIO):
    """A file on a disk that is full until room is made."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture
def broken() -> Iterator[TextIO]:
    """The writing end of a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stream:
        yield stream


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_line_that_cannot_be_written_is_dropped_and_the_next_one_is_tried(log_format: str) -> None:
    disk = Full()
    configure(log_format, "info", disk)
    log = structlog.get_logger()

    log.info("first.line")
    disk.full = False
    log.info("second.line")

    assert "second.line" in disk.getvalue()
    assert "first.line" not in disk.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_variables(log_format: str) -> None:
    stream = io.StringIO()
    configure(log_format, "info", stream)

    def fails(words: str) -> None:
        raise RuntimeError(f"{len(words)} characters")

    try:
        fails("Aria Voss" + " lives in Lisbon")
    except RuntimeError:
        structlog.get_logger().exception("call.failed")

    assert "RuntimeError" in stream.getvalue()
    assert "25 characters" in stream.getvalue()
    assert "Aria Voss lives" not in stream.getvalue()


def test_a_stream_that_was_closed_takes_no_line_and_raises_nothing() -> None:
    disk = Full()
    disk.close()
    configure("json", "info", disk)

    structlog.get_logger().error("some.event")


def test_calls_are_answered_although_nobody_reads_the_log_any_more(demo: Running, broken: TextIO) -> None:
    configure("json", "info", broken)

    demo.client.add_facts(DEMO, [new_fact("Ann Lee", "lives in", "Rome")])

    assert demo.client.memory(DEMO).memory.facts.pending == 1


def test_facts_are_written_although_nobody_reads_the_log_any_more(
    small: Place, bases: BaseModels, broken: TextIO
) -> None:
    configure("json", "debug", broken)
    with open_store(small.settings()) as store:
        (fact,) = tell(store, ("Ann Lee", "lives in", "Rome"))

        assert work(store, bases).facts[fact].status is Status.INJECTED


def test_a_server_serves_and_ends_well_although_nobody_reads_its_log_any_more(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{tmp_path}/hypnogram.db",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(tmp_path / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(tmp_path / "snapshots"),
    }
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "service.cli.main", "serve", "--port", "0", "--log-format", "json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=writing, text=True) as server:
        assert server.stdout
        address = server.stdout.readline().removeprefix("listening on ").strip()
        with Client(address) as client:
            assert list(client.memories()) == []
        server.send_signal(signal.SIGTERM)
        ended = server.wait(PATIENCE)
    os.close(writing)
    assert ended == 0
