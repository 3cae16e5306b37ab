"""Runs two servers and two executors on one database, with a writer and a watcher for each of eight memories."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypnogram.v1 import memories_pb2

from benchmarks.faults.tally import Tally
from benchmarks.support.place import Place
from benchmarks.support.processes import line_of, process
from benchmarks.support.tiny import make
from core.events.facts import FactAdded
from core.events.history import CheckpointMarked
from core.ids import MemoryId
from hypnogram.client import CallFailed, Client, new_fact
from service.app.store import open_store
from store.log.event_log import EventLog
from store.log.verify import verify_log

WRITERS = 8
FACT_EVERY = 250  # events; the others are checkpoints, so that the executors do not lag by hours
PATIENCE = 600.0  # seconds
LOOK_SECONDS = 0.5


@dataclass
class Written:
    """The acknowledged events of one writer, and the versions that its watcher received.

    Attributes:
        marks: name of each checkpoint -> acknowledged version.
        facts: number of acknowledged facts.
        seen: received versions in order of arrival.
        failed: the writer's error, or empty.
    """

    memory: str
    marks: dict[str, int] = field(default_factory=dict)
    facts: int = 0
    seen: list[int] = field(default_factory=list)
    failed: str = ""

    @property
    def events(self) -> int:
        return len(self.marks) + self.facts

    @property
    def skipped(self) -> int:
        """Number of received versions that do not follow the one received before."""
        return sum(version != before + 1 for before, version in zip([0, *self.seen], self.seen, strict=False))

    def write(self, client: Client, events: int) -> None:
        try:
            for number in range(events):
                if number % FACT_EVERY == 0:
                    client.add_facts(
                        self.memory, [new_fact(f"Aria Number{number}", "lives in", "Rome")], timeout=PATIENCE
                    )
                    self.facts += 1
                else:
                    marked = client.mark(self.memory, f"mark-{number}", timeout=PATIENCE)
                    self.marks[f"mark-{number}"] = marked.version
        except CallFailed as error:
            self.failed = f"a writer failed: {error}"

    def watch(self, client: Client) -> None:
        try:
            for news in client.watch(self.memory):
                if news.HasField("event"):
                    self.seen.append(news.version)
        except CallFailed:
            pass  # the connection was closed at the end


def servers(folder: Path, events: int) -> Iterator[Tally]:
    """Every writer calls one server, and its events are watched through the other."""
    place = Place(folder)
    make(folder / "base")
    written = [Written(f"memory-{number}") for number in range(WRITERS)]
    tally = Tally(
        f"two servers, two executors, {WRITERS} writers, a Watch each", WRITERS * events, extra={"skipped": 0}
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for address in _started(stack, place)]
        base = memories_pb2.BaseModel(name=str(folder / "base"))
        threads = []
        for number, memory in enumerate(written):
            here, there = clients[number % 2], clients[1 - number % 2]
            here.create_memory(memory.memory, base)
            threads.append(threading.Thread(target=memory.write, args=(here, events), daemon=True))
            threading.Thread(target=memory.watch, args=(there,), daemon=True).start()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(LOOK_SECONDS)
            tally.tried = sum(memory.events for memory in written)
            yield tally
        tally.lose(_waited_for(clients[0], written))
    with open_store(place.settings()) as store:
        for memory in written:
            kept = _kept(store.log, memory)
            tally.survived += kept
            tally.lose([f"an event of {memory.memory} was acknowledged and is lost"] * (memory.events - kept))
        if (fault := verify_log(store.log, store.artifacts).fault) is not None:
            tally.lose([fault.message])
    tally.tried = sum(memory.events for memory in written)
    tally.extra = {"skipped": sum(memory.skipped for memory in written)}
    tally.lose(memory.failed for memory in written if memory.failed)
    yield tally


def _started(stack: ExitStack, place: Place) -> list[str]:
    """Starts two servers and two executors; returns the addresses of the servers."""
    settings = place.settings()
    environment = {
        "HYPNOGRAM_DATABASE_URL": settings.database_url,
        "HYPNOGRAM_ARTIFACT_FOLDER": str(settings.artifact_folder),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(settings.snapshot_folder),
        "HYPNOGRAM_EXECUTOR": "false",
        "HYPNOGRAM_PORT": "0",
        "HYPNOGRAM_TORCH_THREADS": "1",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }
    addresses = []
    for _ in range(2):
        server = stack.enter_context(process("service.cli.main", "serve", **environment))
        addresses.append(line_of(server).removeprefix("listening on "))
        stack.enter_context(process("service.cli.main", "executor", **environment))
    return addresses


def _waited_for(client: Client, written: list[Written]) -> Iterator[str]:
    """Waits for executors to write all facts and for watchers to receive all events; yields what was not in time."""
    for memory in written:
        began, version = time.monotonic(), 0
        while time.monotonic() - began < PATIENCE:
            now = client.memory(memory.memory, timeout=PATIENCE)
            if now.version != version:
                began, version = time.monotonic(), now.version
            if not now.memory.facts.pending and memory.seen and memory.seen[-1] == version:
                break
            time.sleep(LOOK_SECONDS / 10)
        else:
            yield f"{memory.memory} stands still at version {version}: facts are pending, or its Watch is behind"


def _kept(log: EventLog, memory: Written) -> int:
    """Number of acknowledged events in the log, each mark at its version; 0 where versions are not dense."""
    recorded, after = [], 0
    while page := log.read(memory=MemoryId(memory.memory), after_version=after):
        recorded += page
        after = page[-1].version
    if [event.version for event in recorded] != list(range(1, len(recorded) + 1)):
        return 0
    marks = {entry.event.name: entry.version for entry in recorded if isinstance(entry.event, CheckpointMarked)}
    facts = sum(isinstance(entry.event, FactAdded) for entry in recorded)
    return sum(marks.get(name) == version for name, version in memory.marks.items()) + min(facts, memory.facts)
