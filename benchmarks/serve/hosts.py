"""Makes databases of many memories, and runs servers on them as processes that can be looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.place import CAUSE, Place, create, work
from benchmarks.support.processes import line_of, process
from core.decide.commands import Command, CreateMemory, RecordStatistics
from core.events.memory import StatisticsPrepared
from core.ids import MemoryId
from core.state.memory import Memory
from hypnogram.client import Client
from service.app.repository import MemoryRepository
from service.app.store import open_store
from service.weights.base_models import BaseModels

MAKERS = 16  # memories that are made at the same time, whose commits the log puts together
START_SECONDS = 600.0
CAPACITY = 1e9  # because the bench tells more facts than a memory has room for


@dataclass(frozen=True, slots=True)
class Host:
    """A server that runs.

    Attributes:
        address, http: of its two ports.
        seconds: from its start until its health was SERVING.
    """

    process: int
    address: str
    http: str
    seconds: float

    def rss(self) -> int:
        """Returns how much memory it holds now, in bytes."""
        pages = int(Path(f"/proc/{self.process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """Returns how much CPU time it took so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def name(number: int) -> MemoryId:
    """Returns the name of a memory of the bench."""
    return MemoryId(f"memory-{number}")


def make(folder: Path, model: str, memories: int, *, prepared: bool) -> Place:
    """Makes a database with so many memories, without facts.

    Args:
        prepared: measure the base model for the first memory, and record the same for all others.
    """
    place = Place(folder)
    folder.mkdir(parents=True)
    with open_store(place.settings()) as store:
        create(store, model, memory=name(0), capacity=CAPACITY)
        if prepared:
            work(store, BaseModels("cpu"), memory=name(0))
        states = MemoryRepository(store.log, store.snapshots)
        created = states.current(name(0)).created
        assert created is not None
        measured = [
            recorded.event for recorded in store.log.iterate(name(0)) if isinstance(recorded.event, StatisticsPrepared)
        ]

        def another(number: int) -> None:
            memory = name(number)
            commands: list[Command] = [CreateMemory(memory=memory, created=created)]
            commands += [RecordStatistics(prepared=event) for event in measured]
            for command in commands:
                states.execute(memory, _always(command), CAUSE)

        with ThreadPoolExecutor(MAKERS) as pool:
            list(pool.map(another, range(1, memories)))
    return place


def _always(command: Command) -> Callable[[Memory], Command]:
    """Returns what decides on `command` whatever the memory holds."""
    return lambda _: command


@contextmanager
def hosting(place: Place, *, threads: int, executor: bool = False, **environment: str) -> Iterator[Host]:
    """Runs a server on a database while the block lasts."""
    settings = place.settings()
    began = time.monotonic()
    with process(
        "service.cli.main",
        "serve",
        HYPNOGRAM_DATABASE_URL=settings.database_url,
        HYPNOGRAM_ARTIFACT_FOLDER=str(settings.artifact_folder),
        HYPNOGRAM_SNAPSHOT_FOLDER=str(settings.snapshot_folder),
        HYPNOGRAM_EXECUTOR=str(executor).lower(),
        HYPNOGRAM_PORT="0",
        HYPNOGRAM_HTTP="127.0.0.1:0",
        HYPNOGRAM_TORCH_THREADS=str(threads),
        HYPNOGRAM_LOG_LEVEL="error",
        **environment,
    ) as started:
        address, http = (line_of(started).removeprefix("listening on ") for _ in range(2))
        with Client(address) as client:
            while not client.serving(timeout=START_SECONDS):
                time.sleep(0.05)
        yield Host(started.pid, address, http, time.monotonic() - began)
