"""`hypnogram serve` with its artifacts on S3-compatible storage, which comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypnogram.v1 import facts_pb2, memories_pb2

from benchmarks.support.processes import line_of, process
from benchmarks.support.tiny import make
from hypnogram.client import CallFailed, Client, new_fact
from service.settings import Settings
from tests.patience import eventually
from tests.service.conftest import DEMO
from tests.store.test_objects import URL, account, bucket, port, running

__all__ = ["account", "bucket", "port"]


@contextmanager
def served(settings: Settings) -> Iterator[Client]:
    """Runs the command with an executor in its process, in the environment that names the storage."""
    with (
        process(
            "service.cli.main",
            "serve",
            HYPNOGRAM_DATABASE_URL=settings.database_url,
            HYPNOGRAM_ARTIFACT_FOLDER=str(settings.artifact_folder),
            HYPNOGRAM_ARTIFACT_URL=URL,
            HYPNOGRAM_SNAPSHOT_FOLDER=str(settings.snapshot_folder),
            HYPNOGRAM_PORT="0",
            HYPNOGRAM_LOG_LEVEL="error",
        ) as server,
        Client(line_of(server).removeprefix("listening on ")) as client,
    ):
        yield client


def all_written(client: Client) -> bool:
    return all(fact.status == facts_pb2.STATUS_INJECTED for fact in client.facts(DEMO))


def said(client: Client) -> tuple[str, str]:
    """The answer about the fact, and the digest of the weights that gave it."""
    pieces = list(client.complete(DEMO, "Ann Lee lives in", max_tokens=4))
    return "".join(piece.text for piece in pieces), pieces[-1].weights_digest


def test_a_server_keeps_weights_in_objects_and_waits_for_storage_that_is_away(
    settings: Settings, tmp_path: Path, port: int, bucket: Any
) -> None:
    base = memories_pb2.BaseModel(name=str(make(tmp_path / "base")))
    with running(port), served(settings) as client:
        client.create_memory(DEMO, base)
        client.add_facts(DEMO, [new_fact("Ann Lee", "lives in", "Rome")], wait=True)
        before = said(client)
    assert {key.rpartition("/")[0] for key in bucket.keys} == {"of/demo"}
    assert {path.name for path in settings.artifact_folder.iterdir()} <= {"anchors", "measured"}

    with served(settings) as client:
        client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Lima")])
        assert [fact.subject for fact in client.facts(DEMO)] == ["Ann Lee", "Bo Lind"]
        with pytest.raises(CallFailed) as failure:
            said(client)
        assert (failure.value.code, failure.value.reason) == ("UNAVAILABLE", "ARTIFACTS_UNREACHABLE")
        with running(port):
            eventually(lambda: all_written(client))
            now = said(client)

    assert before[1] != now[1]
