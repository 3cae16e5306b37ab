"""Folded states on disk, so that a long log need not be folded from its first event. Deleting them loses nothing.

A snapshot is trusted only as far as it can be checked: it names the code that folded it, the digest of its content,
and the hash of the last event in it, which the log must still hold at that version. It also says how many data keys had
been thrown away before its words were read: one from before an erasure may hold the words that are gone now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import core
from core.codec import from_json, to_json
from core.evolve import fold
from core.ids import Digest, FactId, MemoryId
from core.memory import Memory
from store.artifacts import write_atomically

KEEP = 8  # newest snapshots of each memory


class Snapshots:
    """A folder of snapshots, one folder in it per memory, one file per version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, memory: MemoryId, state: Memory, at_hash: Digest, erased: int) -> None:
        """Keeps `state`, whose last event has the hash `at_hash`, and drops the oldest beyond `KEEP`.

        Args:
            erased: `Keyring.thrown_away` from before any of its events was read.
        """
        value = {"code": code_digest(), "hash": at_hash, "erased": erased, "state": _to_json(state)}
        body = json.dumps(value, ensure_ascii=False)
        path = self._path(memory, state.version)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # all was removed just now, this in the making included
            write_atomically(path, f"{_digest(body)}\n{body}".encode())
        for version in list(self._versions(memory))[KEEP:]:
            self.remove(memory, version)

    def load(self, memory: MemoryId, at_most: int, erased: int) -> tuple[Memory, Digest] | None:
        """The newest state up to the version `at_most`, with the hash of its last event. Removes what is unusable.

        Args:
            erased: `Keyring.thrown_away` as it is now; states from when it was another are unusable.
        """
        for version in self._versions(memory):
            if version <= at_most:
                if found := self._read(memory, version, erased):
                    return found
                self.remove(memory, version)
        return None

    def remove(self, memory: MemoryId, version: int) -> None:
        self._path(memory, version).unlink(missing_ok=True)

    def remove_all(self, memory: MemoryId) -> None:
        """Removes all that is kept of `memory`, and what a writer that was killed has left behind."""
        for path in (self.folder / memory).glob("*"):
            path.unlink(missing_ok=True)

    def _read(self, memory: MemoryId, version: int, erased: int) -> tuple[Memory, Digest] | None:
        try:
            digest, body = self._path(memory, version).read_text().split("\n", 1)
        except (OSError, ValueError):
            return None
        if digest != _digest(body):
            return None
        value = json.loads(body)
        if value["code"] != code_digest() or value.get("erased") != erased:  # older versions did not say
            return None
        state = _from_json(value["state"])
        return (state, Digest(value["hash"])) if state.version == version else None

    def _versions(self, memory: MemoryId) -> Iterator[int]:
        """Newest first."""
        paths = (self.folder / memory).glob("*.json")
        return iter(sorted((int(path.stem) for path in paths if path.stem.isdecimal()), reverse=True))

    def _path(self, memory: MemoryId, version: int) -> Path:
        return self.folder / memory / f"{version}.json"


@cache
def code_digest() -> Digest:
    """Of the rules that fold: a state folded by other rules is not this version's state."""
    rules = hashlib.sha256()
    for path in sorted(Path(core.__path__[0]).glob("*.py")):
        rules.update(path.name.encode() + b"\0" + path.read_bytes())
    return Digest(rules.hexdigest())


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _to_json(state: Memory) -> object:
    """`state` as JSON. Objects keep their order, which means something; keys of `said` are pairs, JSON's are texts."""
    said = [[*key, fact] for key, fact in state.said.items()]
    return {**to_json(replace(state, said=MappingProxyType({}))), "said": said}


def _from_json(value: dict[str, Any]) -> Memory:
    said = {(subject, relation): FactId(fact) for subject, relation, fact in value.pop("said")}
    return fold((), onto=replace(from_json(Memory, value), said=said))
