"""A cache of measurements: which artifact holds a measurement, by the key of what it depends on.

It lies beside the artifacts. Where an entry or its artifact is lost, the measurement is made again.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from core.errors.base import ArtifactCorrupt, ArtifactMissing
from core.ids import Digest
from store.artifacts import Artifacts, write_atomically

_KEY = re.compile(r"[0-9a-f]{64}")


class Measured:
    """The measurements in one folder of artifacts. Safe for several threads and processes."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._folder = artifacts.folder / "measured"

    def get(self, key: Digest) -> tuple[Digest, bytes] | None:
        """Returns the artifact of `key` and its content; None without an entry, or where the artifact is damaged."""
        try:
            digest = Digest(self._entry(key).read_text())
            return digest, self._artifacts.get(digest)
        except (OSError, UnicodeDecodeError, ArtifactMissing, ArtifactCorrupt):
            return None

    def named(self, key: Digest) -> Digest | None:
        """Returns the artifact of `key` without reading it; None without an entry, or where the artifact is lost."""
        with suppress(OSError, UnicodeDecodeError):
            digest = Digest(self._entry(key).read_text())
            return digest if self._artifacts.exists(digest) else None
        return None

    def put(self, key: Digest, digest: Digest) -> None:
        """Records that `digest` is the artifact of `key`."""
        self._folder.mkdir(exist_ok=True)
        write_atomically(self._entry(key), digest.encode())

    def replace(self, key: Digest, content: bytes) -> None:
        """Records `content` as the artifact of `key`, and removes that of before, which no event may name."""
        before = self.get(key)
        digest = self._artifacts.put(content)
        self.put(key, digest)
        if before is not None and before[0] != digest:
            self._artifacts.remove(before[0])

    def remove(self, key: Digest) -> None:
        """Removes the entry of `key` and its artifact, which no event may name."""
        entry = self._entry(key)
        with suppress(OSError, ArtifactMissing):
            digest = Digest(entry.read_text())
            entry.unlink()
            self._artifacts.remove(digest)

    def _entry(self, key: Digest) -> Path:
        assert _KEY.fullmatch(key)
        return self._folder / key
