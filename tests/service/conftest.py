"""A real server on a free port of this machine, in a thread, with parrots for models."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.state.sleep import Step
from hypnogram.client import Client
from service.app.ports import ModelHost
from service.app.progress import ProgressBoard
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.log_setup import configure
from service.rpc.health import Readiness
from service.rpc.server import serving
from service.settings import Settings
from service.web.server import listening
from tests.prepared import base, bases, place, prepared, small
from tests.service.dream import Dream
from tests.service.parrot import Parrot, work

__all__ = ["base", "bases", "place", "prepared", "small"]

DEMO = "demo"


@dataclass
class Running:
    """A server that runs, and what it runs on."""

    address: str
    client: Client
    store: Store
    states: MemoryRepository
    parrot: Parrot
    settings: Settings
    stop: Callable[[], None]

    board: ProgressBoard
    readiness: Readiness
    http: str = ""

    def work(
        self, memory: str = DEMO, *, fail: bool = False, dream: Dream | None = None, until: Step | None = None
    ) -> None:
        work(self.states, memory, fail=fail, dream=dream, until=until)


@contextmanager
def run_server(settings: Settings, models: Callable[[Store], ModelHost] | None = None) -> Iterator[Running]:
    """Stops the server when left, and waits until it has stopped. Without `models` it has parrots."""
    stop, parrot, board = asyncio.Event(), Parrot(), ProgressBoard()
    up: list[str] = []
    readiness: list[Readiness] = []
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()
    failure: list[BaseException] = []

    async def serve(store: Store) -> None:
        async with (
            serving(settings, store, models(store) if models else parrot, board) as served,
            listening(settings, served) if settings.http else nullcontext("") as url,
        ):
            loops.append(asyncio.get_running_loop())
            up.extend((served.address, url))
            readiness.append(served.parts.readiness)
            started.set()
            await stop.wait()

    def run(store: Store) -> None:
        try:
            asyncio.run(serve(store))
        except BaseException as error:
            failure.append(error)
        finally:
            started.set()

    with open_store(settings) as store:
        parrot.states = MemoryRepository(store.log, store.snapshots)
        thread = threading.Thread(target=run, args=(store,))
        thread.start()
        started.wait()
        if failure:
            thread.join()
            raise failure[0]

        def end() -> None:
            if thread.is_alive():
                loops[0].call_soon_threadsafe(stop.set)
                thread.join()

        try:
            with Client(up[0], actor="tester") as client:
                yield Running(up[0], client, store, parrot.states, parrot, settings, end, board, readiness[0], up[1])
        finally:
            end()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    configure("json", "error")


@pytest.fixture
def ended() -> Callable[[], list[dict[str, Any]]]:
    """Returns the lines of the log so far that say how calls ended."""
    stream = io.StringIO()
    configure("json", "info", stream)

    def lines() -> list[dict[str, Any]]:
        return [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "call.ended"]

    return lines


def settings_in(folder: Path) -> Settings:
    """Those of a server on a free port that keeps everything in `folder`."""
    return Settings(
        database_url=f"sqlite:///{folder}/hypnogram.db",
        artifact_folder=folder / "artifacts",
        snapshot_folder=folder / "snapshots",
        model_folder=folder / "pulled",
        port=0,
        stop_seconds=1,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def server(settings: Settings) -> Iterator[Running]:
    with run_server(settings) as running:
        yield running


@pytest.fixture
def demo(server: Running) -> Running:
    """A server that has the memory `demo`, with its statistics prepared."""
    server.client.create_memory(DEMO)
    server.work()
    return server
