"""Whether an executor lives is known to clients: by health, by GetMemory and by `hypnogram status`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import text

from core.ids import MemoryId
from service.app.progress import ProgressBoard
from service.app.store import Store, open_store
from service.rpc.executor_health import EXECUTOR
from service.rpc.server import serve
from service.settings import Settings
from service.terminal.reasons import executor_line
from store.database.executors import LIVE_SECONDS, Duty, Executors
from store.database.leases import Leases
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running
from tests.service.parrot import Parrot

EXECUTOR_ALONE = """
import sys
from service.cli.main import app

try:
    app(["executor"], standalone_mode=False)
finally:
    print([name for name in ("peft", "bitsandbytes") if name in sys.modules])
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.executor.pulse.BEAT_SECONDS", 0.05)


def test_a_server_without_any_executor_serves_and_says_that_there_is_none(demo: Running) -> None:
    assert not demo.client.serving(EXECUTOR)
    eventually(demo.client.serving)

    execution = demo.client.memory(DEMO).execution
    assert not execution.alive
    assert "none is running" in executor_line(execution)


def test_an_executor_of_another_process_is_known_until_it_ends(demo: Running) -> None:
    environment = {**os.environ, "HYPNOGRAM_DATABASE_URL": demo.settings.database_url}
    other = subprocess.Popen([sys.executable, "-c", EXECUTOR_ALONE], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: demo.client.serving(EXECUTOR))
        assert demo.client.memory(DEMO).execution.alive
        assert executor_line(demo.client.memory(DEMO).execution) == "idle"
    finally:
        other.send_signal(signal.SIGTERM)
        imported, _ = other.communicate(timeout=PATIENCE)
        assert other.returncode == 0
        assert imported == "[]\n"  # because importing them takes seconds, which only a night of LoRA has to pay

    eventually(lambda: not demo.client.serving(EXECUTOR))
    assert not demo.client.memory(DEMO).execution.alive


def test_an_executor_that_was_killed_is_dead_once_it_gives_no_sign_of_life(demo: Running) -> None:
    Executors(demo.store.log.engine).beat("killed")
    eventually(lambda: demo.client.serving(EXECUTOR))

    with demo.store.log.engine.begin() as connection:  # as if so much time had passed
        connection.execute(text("UPDATE executors SET seen = seen - :seconds"), {"seconds": LIVE_SECONDS + 1})

    eventually(lambda: not demo.client.serving(EXECUTOR))


def test_health_of_the_executor_survives_a_database_that_is_away(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    executors = Executors(demo.store.log.engine)
    executors.beat("first")
    eventually(lambda: demo.client.serving(EXECUTOR))
    with demo.store.log.engine.begin() as connection:
        connection.execute(text("ALTER TABLE executors RENAME TO away"))
    eventually(lambda: not demo.client.serving(EXECUTOR))

    with demo.store.log.engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO executors"))
    executors.beat("first")

    eventually(lambda: demo.client.serving(EXECUTOR))


def test_what_an_executor_does_and_waits_for_is_told_with_the_memory(demo: Running) -> None:
    Executors(demo.store.log.engine).beat("first")
    leases = Leases(demo.store.log.engine)
    lease = leases.claim(MemoryId(DEMO), "first", 60, Duty(work="prepare_statistics", attempt=2))
    assert lease

    execution = demo.client.memory(DEMO).execution
    assert (execution.alive, execution.work, execution.attempt) == (True, "prepare_statistics", 2)
    assert executor_line(execution).endswith("prepare statistics, attempt 2")
    other = leases.claim(MemoryId("other"), "first", 60, Duty(work="inject"))
    assert other
    assert demo.client.memory(DEMO).execution.elsewhere == "other"

    leases.release(lease, Duty(work="inject", seconds=42.0, reason="DISK_FULL", message="no space left"))
    execution = demo.client.memory(DEMO, at_version=1).execution
    assert (execution.work, execution.reason, execution.waits_for) == ("inject", "DISK_FULL", "no space left")
    assert execution.seconds >= 42
    assert executor_line(execution).startswith("has waited for ")
    assert executor_line(execution).endswith(" s to inject: no space left (DISK_FULL)")
    leases.release(lease)
    assert executor_line(demo.client.memory(DEMO).execution) == "busy with memory other"


def test_a_server_runs_its_executor_again_when_that_ends_before_it_shall(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.supervision.RESTART_SECONDS", 0.0)
    runs: list[str] = []

    async def served(store: Store) -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()

        class Dying:
            def run(self, stop: threading.Event) -> None:
                runs.append(threading.current_thread().name)
                if len(runs) < 3:
                    raise SystemExit
                loop.call_soon_threadsafe(end.set)
                stop.wait(PATIENCE)

        await serve(settings, store, Parrot(), executor=Dying(), board=ProgressBoard(), stop=end, up=lambda _: None)

    with open_store(settings) as store:
        asyncio.run(served(store))

    assert runs == ["executor"] * 3
