"""Executors on a real Ray cluster: whatever of it dies, each fact is written once, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.support.tiny import make
from core.errors.base import InvalidField, RayUnavailable
from core.events.facts import FactInjected
from core.ids import FactId, MemoryId
from core.state.memory import Memory, Status
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from service.app.store import Store, open_store
from service.executor.on_ray import supervisor
from service.executor.on_ray.slot import Slot
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build
from store.database.executors import Executors
from store.log.verify import verify_log
from tests.databases import postgresql, schema_of
from tests.patience import PATIENCE, eventually
from tests.prepared import DEMO, create, state_of, tell
from tests.service.ray_cluster import RayCluster, free_port, ray_cluster

__all__ = ["postgresql"]

pytest.importorskip("ray", reason="executors on Ray need the extra `ray`")
if not Path("/proc/self/stat").exists():
    pytest.skip("the processes of a node are found in /proc", allow_module_level=True)

FACTS = 8  # told at once: two batches, so that an executor can be killed between them
ENDS = {Status.INJECTED, Status.PARKED}  # random weights do not take every object, and then a fact is parked


class Command:
    """`hypnogram executor --ray`, and what it logs."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        chosen = {
            "HYPNOGRAM_DATABASE_URL": settings.database_url,
            "HYPNOGRAM_ARTIFACT_FOLDER": str(settings.artifact_folder),
            "HYPNOGRAM_SNAPSHOT_FOLDER": str(settings.snapshot_folder),
            "HYPNOGRAM_LEASE_SECONDS": "2",
            "HYPNOGRAM_SERVER_SECONDS": f"{PATIENCE:.0f}",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.cli.main", "executor", *arguments],
            env=os.environ | chosen,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def logged(self, *events: str) -> list[dict[str, Any]]:
        """The events of these names."""
        entries = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [entry for entry in entries if entry["event"] in events]

    def ended(self) -> int:
        """The exit status, once it has ended by itself."""
        status = self.process.wait(PATIENCE)
        self._reader.join()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.lines.extend(lines)


class Running:
    """A cluster, a command that keeps executors on it, and the log that they work for."""

    def __init__(self, cluster: RayCluster, settings: Settings, command: Command, store: Store) -> None:
        self.cluster, self.settings, self.command, self.store = cluster, settings, command, store
        self.memory = DEMO

    def nodes(self, wanted: int) -> None:
        """Has a head and so many nodes beside it, and an executor on each."""
        if not self.cluster.head.stands():
            self.cluster.restart_head()
        while len(self.cluster.nodes) > wanted:
            self.cluster.nodes.pop().kill()
        while len(self.cluster.nodes) < wanted:
            self.cluster.add_node()
        eventually(lambda: all(node.slots() for node in (self.cluster.head, *self.cluster.nodes)))

    def state(self) -> Memory:
        return state_of(self.store, self.memory)

    def tell(self) -> list[FactId]:
        names = [f"Aria Number{len(self.state().facts) + number}" for number in range(FACTS)]
        return tell(self.store, *((name, "lives in", "Rome") for name in names), memory=self.memory)

    def interrupted(self, nodes: int, kill: Callable[[], None]) -> list[FactId]:
        """Tells facts and calls `kill` once the first are written; again where by then all of them were."""
        facts: list[FactId] = []
        while not self.owed(facts):
            self.nodes(nodes)
            facts += (new := self.tell())
            eventually(lambda new=new: len(self.owed(new)) < len(new))  # type: ignore[misc]
            kill()
        return facts

    def owed(self, facts: list[FactId]) -> list[FactId]:
        """Those that are not written yet."""
        state = self.state()
        return [fact for fact in facts if state.facts[fact].status not in ENDS]

    def each_written_once(self, facts: list[FactId]) -> None:
        """Waits until `facts` are written; nothing that the memory was told before is lost or written twice."""
        eventually(lambda: not self.owed(facts))
        state = self.state()
        assert {fact.status for fact in state.facts.values()} <= ENDS
        once = {fact: 1 for fact, known in state.facts.items() if known.status is Status.INJECTED}
        assert once.keys() & set(facts)
        events = [recorded.event for recorded in self.store.log.read(memory=self.memory)]
        assert Counter(event.fact for event in events if isinstance(event, FactInjected)) == once
        assert Counter(columns.fact for edit in state.edits.values() for columns in edit.columns) == once
        assert verify_log(self.store.log, self.store.artifacts).fault is None
        assert state.created is not None
        deltas = DeltaStore(self.store.artifacts, self.store.log.keyring)
        assert state.weights == weights_digest(build(BaseModels("cpu").clone(state.created), deltas, plan(state)))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def shared(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("on-ray")
    settings = Settings(
        database_url=schema_of(postgresql),
        artifact_folder=folder / "artifacts",
        snapshot_folder=folder / "snapshots",
    )
    with open_store(settings) as store, ray_cluster() as cluster:
        command = Command(settings, "--ray", cluster.address)
        try:
            yield Running(cluster, settings, command, store)
        finally:
            command.kill()


@pytest.fixture
def running(shared: Running, base: Path, request: pytest.FixtureRequest) -> Running:
    """The same for all tests, but for a memory of each test's own."""
    shared.memory = MemoryId(request.node.name.replace("_", "-")[:60])
    create(shared.store, str(base), memory=shared.memory)
    return shared


def test_facts_are_written_on_every_node(running: Running) -> None:
    running.nodes(1)

    facts = running.tell()

    running.each_written_once(facts)
    assert {entry["pid"] for entry in running.command.logged("slot.placed")} >= set(running.cluster.slots())


def test_killed_executors_are_restarted_by_ray(running: Running) -> None:
    killed: set[int] = set()

    def kill() -> None:
        for process in running.cluster.slots():
            os.kill(process, signal.SIGKILL)
            killed.add(process)

    facts = running.interrupted(1, kill)

    running.each_written_once(facts)
    assert set(running.cluster.slots()) - killed
    assert not running.command.logged("slot.failed")


def test_work_of_a_killed_node_goes_on_on_another(running: Running) -> None:
    running.nodes(1)
    [elsewhere] = running.cluster.head.slots()
    os.kill(elsewhere, signal.SIGSTOP)  # so that the node which is killed is the one that works
    try:
        facts = running.interrupted(1, lambda: running.nodes(0))
    finally:
        os.kill(elsewhere, signal.SIGCONT)

    running.each_written_once(facts)


def test_a_head_that_comes_back_gets_executors_again(running: Running) -> None:
    facts = running.interrupted(0, running.cluster.kill_head)
    eventually(lambda: running.command.logged("ray.away", "ray.lost"))
    facts += running.tell()
    running.cluster.restart_head()

    running.each_written_once(facts)
    assert running.command.logged("slot.placed")[-1]["pid"] in running.cluster.head.slots()


def test_more_slots_than_there_are_is_an_error(running: Running) -> None:
    command = Command(running.settings, "--ray", running.cluster.address, "--slots", "99")
    try:
        assert command.ended() == 1
    finally:
        command.kill()
    assert "it has 1 of the 99 CPUs that are asked for" in command.lines[-1]


def test_a_command_that_stops_lets_its_executors_stop(running: Running) -> None:
    running.nodes(0)
    with running.store.log.engine.begin() as connection:
        connection.execute(text("DELETE FROM executors"))  # also those of executors that were killed
    eventually(Executors(running.store.log.engine).any_alive)

    running.command.process.terminate()

    assert running.command.ended() == 0
    with running.store.log.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM executors")).scalar() == 0
    eventually(lambda: not running.cluster.slots())


def test_an_executor_that_cannot_begin_says_why_and_tries_again(tmp_path: Path) -> None:
    in_the_way = tmp_path / "log.db"
    in_the_way.mkdir()
    slot = Slot(Settings(database_url=f"sqlite:///{in_the_way}", artifact_folder=tmp_path / "artifacts"))
    eventually(lambda: "unable to open" in slot.where().problem)

    in_the_way.rmdir()

    eventually(lambda: not slot.where().problem)
    slot.stop()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ray": "localhost"}, "is not HOST:PORT"),
        ({"ray": "localhost:no"}, "is not HOST:PORT"),
        ({"device": "cuda:1"}, "which chooses it"),
    ],
)
def test_a_setting_that_ray_cannot_use_is_named(tmp_path: Path, changed: dict[str, str], why: str) -> None:
    settings = Settings(ray="localhost:6379", database_url=f"sqlite:///{tmp_path}/log.db").model_copy(update=changed)
    with pytest.raises(InvalidField, match=why):
        supervisor.run(settings, threading.Event())


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidField, match=r"pip install 'hypnogram\[ray\]'"):
        supervisor.run(Settings(ray="localhost:6379"), threading.Event())


def test_a_head_that_is_not_there_is_an_error_at_the_beginning(tmp_path: Path) -> None:
    settings = Settings(ray=f"127.0.0.1:{free_port()}", database_url=f"sqlite:///{tmp_path}/log.db")
    with pytest.raises(RayUnavailable, match="nothing listens there"):
        supervisor.run(settings, threading.Event())


def test_another_program_at_the_address_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        settings = Settings(
            ray=f"127.0.0.1:{other_program.getsockname()[1]}",
            database_url=f"sqlite:///{tmp_path}/log.db",
            server_seconds=0,
        )
        with pytest.raises(RayUnavailable, match="not a head of Ray"):
            supervisor.run(settings, threading.Event())
