"""Artifacts on S3-compatible storage: moto's server is that storage."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.place import create, tell, work
from benchmarks.support.tiny import make
from core.errors.base import ArtifactCorrupt, ArtifactMissing, ArtifactsUnreachable, InvalidField
from core.ids import Digest
from core.state.memory import Memory, Status
from service.app.store import open_store
from service.settings import Settings
from service.weights.base_models import BaseModels
from store.archive.backup import make_backup, restore_backup
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.verify import verify_log
from store.objects import ObjectStorage

URL = "s3://memories/of/demo"

pytest.importorskip("obstore", reason="storage of objects needs the extra `s3`")
moto = pytest.importorskip("moto.server", reason="moto is not installed")
s3_backends = pytest.importorskip("moto.s3.models").s3_backends


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")


@contextmanager
def running(port: int) -> Iterator[None]:
    """Runs the storage, which keeps its objects while it is away."""
    server: Any = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield
    finally:
        server.stop()


@pytest.fixture
def bucket() -> Iterator[Any]:
    backend = s3_backends["123456789012"]["global"]
    backend.reset()
    made = backend.create_bucket("memories", "us-east-1")
    yield made
    backend.reset()


@pytest.fixture
def storage(port: int, bucket: Any) -> Iterator[ObjectStorage]:
    with running(port):
        yield ObjectStorage(URL)


@pytest.fixture
def artifacts(tmp_path: Path, storage: ObjectStorage) -> Artifacts:
    return Artifacts(tmp_path / "artifacts", storage)


def test_what_is_put_can_be_got_by_its_digest_and_lies_below_the_prefix(artifacts: Artifacts, bucket: Any) -> None:
    digest = artifacts.put(b"factors")
    artifacts.put(b"factors")

    assert digest == hashlib.sha256(b"factors").hexdigest()
    assert artifacts.get(digest) == b"factors"
    assert artifacts.exists(digest)
    assert artifacts.list() == [digest]
    assert list(bucket.keys) == [f"of/demo/{digest}"]
    assert list(artifacts.folder.iterdir()) == []


def test_what_was_never_put_or_was_removed_is_missing(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"factors")
    artifacts.remove(digest)
    artifacts.remove(digest)

    assert not artifacts.exists(digest)
    for name in (digest, "../secret"):
        with pytest.raises(ArtifactMissing, match="restore"):
            artifacts.get(Digest(name))


def test_one_flipped_bit_is_found_and_mended_by_putting_again(artifacts: Artifacts, storage: ObjectStorage) -> None:
    digest = artifacts.put(b"factors")
    storage.write(digest, b"gactors")

    with pytest.raises(ArtifactCorrupt, match=digest):
        artifacts.get(digest)

    artifacts.put(b"factors")
    assert artifacts.get(digest) == b"factors"


def test_storage_that_is_away_is_named_with_what_to_do_and_comes_back_by_itself(
    tmp_path: Path, port: int, bucket: Any
) -> None:
    artifacts = Artifacts(tmp_path / "artifacts", ObjectStorage(URL))  # which asks for nothing yet

    with pytest.raises(ArtifactsUnreachable, match="check that the storage runs"):
        artifacts.put(b"factors")
    with running(port):
        digest = artifacts.put(b"factors")
    with pytest.raises(ArtifactsUnreachable, match=URL):
        artifacts.get(digest)
    with running(port):
        assert artifacts.get(digest) == b"factors"


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, storage: ObjectStorage) -> None:
    with pytest.raises(ArtifactsUnreachable, match="no such bucket"):
        Artifacts(tmp_path / "artifacts", ObjectStorage("s3://nowhere")).get(Digest("0" * 64))


@pytest.mark.parametrize(
    "url", ["s3://", "memories", "https://memories", "s3://key:secret@memories", "s3://memories?a=b"]
)
def test_a_url_without_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(InvalidField, match="s3://BUCKET/PREFIX"):
        ObjectStorage(url)


def test_a_fact_waits_for_storage_that_is_away_and_is_written_once_it_is_back(
    tmp_path: Path, port: int, bucket: Any
) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/hypnogram.db", artifact_folder=tmp_path / "artifacts",
        snapshot_folder=tmp_path / "snapshots", artifact_url=URL, lease_seconds=2.0,
    )  # fmt: skip
    bases, base = BaseModels("cpu"), make(tmp_path / "base")
    with open_store(settings) as store:
        with running(port):
            create(store, str(base))
            work(store, bases)
            prepared = set(store.artifacts.list())
        (fact,) = tell(store, ("Ann Lee", "lives in", "Rome"))

        def seen_away(memory: Memory) -> bool:
            with store.log.engine.connect() as connection:
                rows = connection.exec_driver_sql("SELECT reason FROM leases").scalars()
                return ArtifactsUnreachable.reason in list(rows)

        memory = work(store, BaseModels("cpu"), until=seen_away)
        assert memory.facts[fact].status is Status.PENDING
        assert memory.facts[fact].failures == 0
        with running(port):
            memory = work(store, bases)
            assert memory.facts[fact].status is Status.INJECTED
            assert len(set(store.artifacts.list()) - prepared) > 0
            assert verify_log(store.log, store.artifacts).fault is None


def test_a_backup_holds_objects_and_is_restored_to_a_folder_or_to_objects(
    tmp_path: Path, storage: ObjectStorage
) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/hypnogram.db", artifact_folder=tmp_path / "artifacts",
        snapshot_folder=tmp_path / "snapshots", artifact_url=URL,
    )  # fmt: skip
    with open_store(settings) as store:
        create(store, str(make(tmp_path / "base")))
        made = make_backup(tmp_path / "backup.tar", store.log, store.artifacts)

    there = ObjectStorage("s3://memories/restored")
    restore_backup(tmp_path / "backup.tar", f"sqlite:///{tmp_path}/one.db", tmp_path / "one")
    restore_backup(tmp_path / "backup.tar", f"sqlite:///{tmp_path}/two.db", tmp_path / "two", there)

    assert made.artifacts > 0
    for name, artifacts in (("one", Artifacts(tmp_path / "one")), ("two", Artifacts(tmp_path / "two", there))):
        assert len(artifacts.list()) == made.artifacts
        with EventLog.open(f"sqlite:///{tmp_path}/{name}.db") as log:
            assert verify_log(log, artifacts).fault is None
