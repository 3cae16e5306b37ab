"""Artifacts: kept under the digest of their content, and checked when they are read."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors.base import ArtifactCorrupt, ArtifactMissing
from core.ids import Digest
from store.artifacts import Artifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def test_what_is_put_can_be_got_by_its_digest(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"factors")

    assert digest == hashlib.sha256(b"factors").hexdigest()
    assert artifacts.get(digest) == b"factors"
    assert artifacts.path(digest).read_bytes() == b"factors"
    assert artifacts.exists(digest)
    assert artifacts.list() == [digest]


def test_putting_again_changes_nothing(artifacts: Artifacts) -> None:
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(artifacts.put, [b"factors"] * 50))

    assert artifacts.list() == list(digests)
    assert [path.name for path in artifacts.folder.iterdir()] == artifacts.list()


def test_putting_again_mends_a_damaged_one(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"factors")
    artifacts.path(digest).write_bytes(b"fuctors")

    artifacts.put(b"factors")

    assert artifacts.get(digest) == b"factors"


@pytest.mark.parametrize("name", ["0" * 64, "../secret", "", "A" * 64])
def test_what_was_never_put_is_missing(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(ArtifactMissing, match="restore"):
        artifacts.get(Digest(name))


def test_one_flipped_bit_is_found(artifacts: Artifacts) -> None:
    digest = artifacts.put(b"factors")
    artifacts.path(digest).write_bytes(b"gactors")

    with pytest.raises(ArtifactCorrupt, match=digest):
        artifacts.get(digest)


def test_a_half_written_file_is_no_artifact(artifacts: Artifacts) -> None:
    (artifacts.folder / ".tmp-abc").write_bytes(b"fac")

    assert artifacts.list() == []
