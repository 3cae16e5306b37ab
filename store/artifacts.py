"""Artifacts: contents named by their digest, which are deltas, statistics and reference text.

An artifact is durable before the event that names it. One that no event names is garbage; a missing one is damage. They
are files in a folder, or objects on S3-compatible storage (`store/objects.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from tempfile import mkstemp
from typing import Protocol

from core.errors.base import ArtifactCorrupt, ArtifactMissing
from core.ids import Digest

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Storage(Protocol):
    """Where artifacts are stored, by name. Safe for several threads and processes."""

    def write(self, name: str, data: bytes) -> None:
        """Stores `data` in the place of what had that name; returns once it is durable."""
        ...

    def read(self, name: str) -> bytes:
        """Returns the content. Raises FileNotFoundError."""
        ...

    def remove(self, name: str) -> None:
        """Removes it, durably; does nothing where it is not there."""
        ...

    def has(self, name: str) -> bool: ...

    def names(self) -> list[str]: ...


class Artifacts:
    """The artifacts of one database. Safe for several threads and processes.

    Attributes:
        folder: created when it is missing; what lies beside artifacts is there wherever they are stored.
    """

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        """Stores artifacts in `storage`, by default in `folder`."""
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._storage = storage or FolderStorage(folder)

    def put(self, data: bytes) -> Digest:
        """Stores `data` and returns its digest once it is durable. Idempotent."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        self._storage.write(digest, data)
        return digest

    def get(self, digest: Digest) -> bytes:
        """Returns the content.

        Raises:
            ArtifactMissing: it is not there.
            ArtifactCorrupt: the content does not fit the name.
            ArtifactsUnreachable: they are stored where nothing answers.
        """
        try:
            data = self._storage.read(_checked(digest))
        except FileNotFoundError:
            raise ArtifactMissing(digest) from None
        actual = hashlib.sha256(data).hexdigest()
        if actual != digest:
            raise ArtifactCorrupt(digest, actual)
        return data

    def remove(self, digest: Digest) -> None:
        """Removes the artifact, durably; does nothing where it is not there."""
        self._storage.remove(_checked(digest))

    def path(self, digest: Digest) -> Path:
        """Returns where the artifact is, or would be, in a folder."""
        return self.folder / _checked(digest)

    def exists(self, digest: Digest) -> bool:
        return self._storage.has(_checked(digest))

    def list(self) -> list[Digest]:
        return sorted(Digest(name) for name in self._storage.names() if _DIGEST.fullmatch(name))


class FolderStorage:
    """Files in a folder that is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        if not self._holds(name, data):
            write_atomically(self._folder / name, data)
        sync_folder(self._folder)  # also where it was there, because the process that wrote it may not have synced yet

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)

    def has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def names(self) -> list[str]:
        return [path.name for path in self._folder.iterdir()]

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            return self.read(name) == data
        except FileNotFoundError:
            return False


def _checked(digest: Digest) -> Digest:
    """Returns `digest`. Raises ArtifactMissing where it is not one, because nothing has such a name."""
    if not _DIGEST.fullmatch(digest):
        raise ArtifactMissing(digest)
    return digest


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
