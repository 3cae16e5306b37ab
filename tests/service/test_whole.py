"""The product in one piece: real processes, dormouse, SQLite; facts told, answered, and rebuilt after a kill."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypnogram.v1 import facts_pb2

from hypnogram.client import Client, new_fact
from service.settings import DORMOUSE
from tests.patience import PATIENCE

DEMO = "demo"
EVERY = 40  # of so many lines of reference text one is kept: statistics in seconds

pytestmark = pytest.mark.skipif(
    not (DORMOUSE / "model.safetensors").exists() and not os.environ.get("CI"),
    reason="dormouse's weights are not there: make dormouse",
)


@dataclass(frozen=True)
class Place:
    """Where a memory lives: all that a process is told about it."""

    folder: Path

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HYPNOGRAM_DATABASE_URL": f"sqlite:///{self.folder}/hypnogram.db",
            "HYPNOGRAM_ARTIFACT_FOLDER": str(self.folder / "artifacts"),
            "HYPNOGRAM_SNAPSHOT_FOLDER": str(self.folder / "snapshots"),
            "HYPNOGRAM_REFERENCE_TEXT": str(self.folder / "reference.jsonl"),
            "HYPNOGRAM_PORT": "0",
        }

    def hypnogram(self, *arguments: str) -> Any:
        """What the command prints as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli.main", *arguments, "--json"],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A process that stays until it is told to go, or is gone already."""
        with (self.folder / "processes.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli.main", *arguments],
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            process.stdout.close()

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[tuple[Client, subprocess.Popen[str]]]:
        with self.process("serve", *arguments) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on "), (self.folder / "processes.log").read_text()
            with Client(line.split()[-1]) as client:
                yield client, process


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """A place where something happened, and its digest; made once, whichever test process comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "lived"
    folder.mkdir(exist_ok=True)
    digest = folder / "digest"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not digest.exists():
            lines = (DORMOUSE / "reference.jsonl").read_text().splitlines()
            (folder / "reference.jsonl").write_text("\n".join(lines[::EVERY]))
            digest.write_text(live(Place(folder)))
    return Place(folder), digest.read_text()


def live(place: Place) -> str:
    """The digest of a memory that was told a fact, asked, killed in the middle of another, and started again."""
    with place.serving() as (client, process):
        client.create_memory(DEMO)
        answer = client.add_facts(DEMO, [new_fact("Mirabel Quist", "lives in", "Lisbon")], wait=True, timeout=PATIENCE)
        assert answer.results[0].fact.status == facts_pb2.STATUS_INJECTED
        pieces = list(client.complete(DEMO, "Mirabel Quist lives in", max_tokens=8, min_version=answer.version))
        assert "".join(piece.text for piece in pieces).strip().startswith("Lisbon")
        assert len({piece.weights_digest for piece in pieces}) == 1
        acknowledged = client.add_facts(DEMO, [new_fact("Tove Marn", "was born in", "Oslo")])
        process.send_signal(signal.SIGKILL)
        process.wait()
    with place.serving() as (client, _):
        repeated = client.add_facts(
            DEMO, [new_fact("Tove Marn", "was born in", "Oslo")], request_id="again", wait=True, timeout=PATIENCE
        )
        assert repeated.results[0].fact.fact == acknowledged.results[0].fact.fact  # nothing acknowledged was lost
        assert repeated.results[0].fact.status == facts_pb2.STATUS_INJECTED
        assert client.serving("hypnogram.v1.Chat") or client.memory(DEMO).memory.statistics_prepared
        remote = client.replay(DEMO)
        assert remote.rebuilt_weights == client.memory(DEMO).memory.weights_digest
        return remote.rebuilt_weights


@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_rebuilds_the_same_weights_from_the_log_alone(
    lived: tuple[Place, str], threads: str, tmp_path: Path
) -> None:
    place, weights = lived
    copy = replace(place, folder=tmp_path / "copy")
    shutil.copytree(place.folder, copy.folder, ignore=shutil.ignore_patterns("snapshots"))

    found = copy.hypnogram("replay", "--verify", "--threads", threads)

    assert found["rebuilt_weights"] == found["recorded_weights"] == weights
    assert found["edits_checked"] == 3  # the clean weights and two edits


def test_an_altered_artifact_is_found_and_named(lived: tuple[Place, str], tmp_path: Path) -> None:
    place, _ = lived
    copy = replace(place, folder=tmp_path / "copy")
    shutil.copytree(place.folder, copy.folder)
    artifact = max((copy.folder / "artifacts").iterdir(), key=lambda path: path.stat().st_mtime)
    data = bytearray(artifact.read_bytes())
    data[len(data) // 2] ^= 1
    artifact.write_bytes(data)

    done = subprocess.run(
        [sys.executable, "-m", "service.cli.main", "replay", "--verify"],
        env=copy.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert artifact.name in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_executor_of_its_own_writes_what_a_server_was_told(lived: tuple[Place, str], tmp_path: Path) -> None:
    place, weights = lived
    copy = replace(place, folder=tmp_path / "copy")
    shutil.copytree(place.folder, copy.folder)
    with copy.serving("--no-executor") as (client, _):
        added = client.add_facts(DEMO, [new_fact("Orla Penrose", "works as", "a baker")])
        with copy.process("executor") as executor:
            answer = client.add_facts(
                DEMO, [new_fact("Orla Penrose", "works as", "a baker")], request_id="wait", wait=True, timeout=PATIENCE
            )
            executor.terminate()
            assert executor.wait(timeout=PATIENCE) == 0

        assert added.results[0].fact.status == facts_pb2.STATUS_PENDING
        assert answer.results[0].fact.status == facts_pb2.STATUS_INJECTED
        assert client.memory(DEMO).memory.weights_digest != weights
