"""Many writers, a live reader, and a kill: nothing skipped, nothing acknowledged lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.ids import EventId, MemoryId
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.core.samples import CREATED
from tests.patience import PATIENCE, eventually
from tests.store.given import DEMO, new, told

WRITERS = 8
APPENDS = 250  # of each writer
ROOT = Path(__file__).parents[3]


def test_a_live_reader_sees_every_event_of_many_writers_in_order(log: EventLog, url: str) -> None:
    seen: list[tuple[MemoryId, int, int]] = []

    def write(log: EventLog, memory: MemoryId) -> None:
        for number in range(APPENDS):
            log.append(memory, [told(number), told(number)], expected=2 * number)

    def read(total: int) -> None:
        position = 0
        while position < total:
            log.wait(position, timeout=10)
            for recorded in log.read(after_position=position, limit=100):
                seen.append((recorded.memory, recorded.version, recorded.position))
                position = recorded.position

    with EventLog.open(url) as other:  # as another process would
        memories = [MemoryId(f"memory-{number}") for number in range(WRITERS)]
        threads = [threading.Thread(target=read, args=(2 * WRITERS * APPENDS,))]
        threads += [
            threading.Thread(target=write, args=((log, other)[number % 2], memory))
            for number, memory in enumerate(memories)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)

    assert [position for _, _, position in seen] == list(range(1, 2 * WRITERS * APPENDS + 1))
    for memory in memories:
        assert [version for name, version, _ in seen if name == memory] == list(range(1, 2 * APPENDS + 1))


APPENDER = """
import sys, threading
from store.log.event_log import EventLog
from tests.store.given import DEMO, told

def write(log):
    while True:
        (recorded,) = log.append(DEMO, [told()], expected=None)
        sys.stdout.write(recorded.id + "\\n")
        sys.stdout.flush()

log = EventLog.open(sys.argv[1])
for _ in range(4):
    threading.Thread(target=write, args=(log,)).start()
"""


@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_killed_while_appending_nothing_acknowledged_is_lost(url: str, tmp_path: Path, seconds: float) -> None:
    acknowledged = tmp_path / "acknowledged"
    with acknowledged.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", APPENDER, url], stdout=output, cwd=ROOT)
        eventually(lambda: acknowledged.stat().st_size)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    said = {EventId(line) for line in acknowledged.read_text().splitlines(keepends=True) if line.endswith("\n")}

    with EventLog.open(url) as log:
        held = {f"{recorded.id}\n" for recorded in log.read(limit=1_000_000)}
        assert said
        assert said <= held
        assert verify_log(log, Artifacts(tmp_path / "artifacts")).fault is None
        log.append(DEMO, [told()], expected=len(held))


def test_a_lost_connection_is_no_lost_append(log: EventLog) -> None:
    if log.engine.dialect.name == "sqlite":
        return  # nothing stands between it and its file
    log.append(DEMO, [new(CREATED)], expected=0)
    with log.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )

    log.append(DEMO, [told()], expected=1)

    assert log.head(DEMO) == 2
