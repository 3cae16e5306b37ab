"""Files named by what is in them: deltas, statistics, ordinary text.

Written and synced before the event that names them. One that no event names is garbage; the reverse is damage.
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
        """Keeps `data` and returns its digest once it is durable. Putting equal data again changes nothing."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        if not self._holds(digest, data):
            write_atomically(self.path(digest), data)
        sync_folder(self.folder)  # also when it was there: another process may not have come to this yet
        return digest

    def get(self, digest: Digest) -> bytes:
        """Raises ArtifactMissing, or ArtifactCorrupt when the content no longer fits the name."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(digest) from None
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise ArtifactCorrupt(digest, found)
        return data

    def remove(self, digest: Digest) -> None:
        """Removes the artifact, durably; one that is not there is left alone."""
        self.path(digest).unlink(missing_ok=True)
        sync_folder(self.folder)

    def path(self, digest: Digest) -> Path:
        """Where the artifact is, or would be."""
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
    """`path` holds either what it held before or all of `data`, which is on the disk already."""
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
