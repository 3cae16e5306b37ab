"""Artifacts: files named by the digest of their content, which are deltas, statistics and reference text.

An artifact is durable before the event that names it. One that no event names is garbage; a missing one is damage.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from tempfile import mkstemp

from core.errors.base import ArtifactCorrupt, ArtifactMissing
from core.ids import Digest

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """A folder of artifacts, created when it is missing. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, data: bytes) -> Digest:
        """Stores `data` and returns its digest once it is durable. Idempotent."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        if not self._holds(digest, data):
            write_atomically(self.path(digest), data)
        sync_folder(self.folder)  # also where it was there, because the process that wrote it may not have synced yet
        return digest

    def get(self, digest: Digest) -> bytes:
        """Returns the content. Raises ArtifactMissing, or ArtifactCorrupt where the content does not fit the name."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(digest) from None
        actual = hashlib.sha256(data).hexdigest()
        if actual != digest:
            raise ArtifactCorrupt(digest, actual)
        return data

    def remove(self, digest: Digest) -> None:
        """Removes the artifact, durably; does nothing where it is not there."""
        self.path(digest).unlink(missing_ok=True)
        sync_folder(self.folder)

    def path(self, digest: Digest) -> Path:
        """Returns where the artifact is, or would be."""
        if not _DIGEST.fullmatch(digest):
            raise ArtifactMissing(digest)
        return self.folder / digest

    def exists(self, digest: Digest) -> bool:
        return self.path(digest).is_file()

    def list(self) -> list[Digest]:
        return sorted(Digest(path.name) for path in self.folder.iterdir() if _DIGEST.fullmatch(path.name))

    def _holds(self, digest: Digest, data: bytes) -> bool:
        try:
            return self.path(digest).read_bytes() == data
        except FileNotFoundError:
            return False


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces the content of `path` with `data`; a crash leaves the old content or all of the new."""
    descriptor, temporary = mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
