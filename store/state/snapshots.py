"""Snapshots: folded states on disk, so that a long log need not be folded from its first event. A cache.

A snapshot is sealed under the data keys of all facts whose words it holds, taken together, so that no snapshot with the
words of a fact can be read once its key was destroyed. It names the code that folded it and the hash of its last event,
and is used only where both are still right. A snapshot that cannot be written or read is left out, without an error.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import core
from core.errors.base import Damaged
from core.events.codec import from_json, to_json
from core.evolve import fold
from core.ids import Digest, FactId, MemoryId
from core.state.memory import Memory
from store.artifacts import write_atomically

KEEP = 8  # newest snapshots of each memory
NONCE_BYTES = 12
SUFFIX = ".sealed"

Keys = Callable[[Iterable[FactId]], Mapping[FactId, bytes | None]]  # see `Keyring.keys`

log = structlog.get_logger()


class Snapshots:
    """A folder of snapshots, one folder in it per memory, one file per version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, memory: MemoryId, state: Memory, at_hash: Digest, keys: Keys) -> None:
        """Saves `state`, whose last event has the hash `at_hash`, and removes the oldest snapshots beyond `KEEP`.

        Saves nothing where a key of its words was destroyed meanwhile, or where the folder cannot be written.
        """
        facts = [
            fact for fact, there in state.facts.items() if there.fact.subject
        ]  # the words of the others were erased
        key = _key(facts, keys)
        if key is None:
            return
        path = self._path(memory, state.version)
        header = json.dumps({"code": code_digest(), "hash": at_hash, "facts": facts}).encode()
        body, nonce = json.dumps(_to_json(state)).encode(), os.urandom(NONCE_BYTES)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, header + b"\n" + nonce + AESGCM(key).encrypt(nonce, body, _bound(path, header)))
        except OSError as error:
            _warn("snapshot.not_saved", memory, state.version, str(error))
            return
        for version in list(self._versions(memory))[KEEP:]:
            self.remove(memory, version)

    def load(self, memory: MemoryId, at_most: int, keys: Keys) -> tuple[Memory, Digest] | None:
        """Returns the newest state up to version `at_most`, and the hash of its last event; removes unusable ones."""
        for version in self._versions(memory):
            if version <= at_most:
                if snapshot := self._read(memory, version, keys):
                    return snapshot
                self.remove(memory, version)
        return None

    def remove(self, memory: MemoryId, version: int) -> None:
        with suppress(OSError):
            self._path(memory, version).unlink()

    def remove_all(self, memory: MemoryId) -> None:
        """Removes all snapshots of `memory`, and the files that a killed writer has left."""
        _remove((self.folder / memory).glob("*"))

    def remove_unsealed(self) -> None:
        """Removes snapshots of version 0.3 and older, because they hold words in clear."""
        _remove(path for path in self.folder.glob("*/*.json") if path.stem.isdecimal())

    def _read(self, memory: MemoryId, version: int, keys: Keys) -> tuple[Memory, Digest] | None:
        path = self._path(memory, version)
        try:
            header, sealed = path.read_bytes().split(b"\n", 1)
            about = json.loads(header)
            if about["code"] != code_digest():
                return None
            key = _key([FactId(fact) for fact in about["facts"]], keys)
            if key is None:
                return None
            body = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(path, header))
            return _from_json(json.loads(body)), Digest(about["hash"])
        except (OSError, ValueError, LookupError, TypeError, InvalidTag) as error:
            _warn("snapshot.unusable", memory, version, type(error).__name__)
            return None

    def _versions(self, memory: MemoryId) -> Iterator[int]:
        """Yields the versions that have a snapshot, newest first."""
        try:
            names = os.listdir(self.folder / memory)
        except OSError:  # nothing was saved yet, or the folder cannot be read
            return iter(())
        stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
        return iter(sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True))

    def _path(self, memory: MemoryId, version: int) -> Path:
        return self.folder / memory / f"{version}{SUFFIX}"


@cache
def code_digest() -> Digest:
    """Returns the digest of the code that folds, because another version may fold the same events to another state."""
    rules = hashlib.sha256()
    folder = Path(core.__path__[0])
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    for name in (name for name in names if not name.startswith("weights/")):
        rules.update(name.encode() + b"\0" + (folder / name).read_bytes())
    return Digest(rules.hexdigest())


def _key(facts: Iterable[FactId], keys: Keys) -> bytes | None:
    """Returns the key made of the data keys of `facts`, in this order; None where one of these was destroyed."""
    try:
        known = keys(facts)
    except Damaged:  # the snapshot is of another database
        return None
    made = hashlib.sha256(b"hypnogram snapshot\0")
    for fact in facts:
        if (key := known[fact]) is None:
            return None
        made.update(key)
    return made.digest()


def _bound(path: Path, header: bytes) -> bytes:
    """Returns what the ciphertext is bound to: its memory, its version, and the header in clear."""
    return f"{path.parent.name}\0{path.name}\0".encode() + header


def _warn(what: str, memory: MemoryId, version: int, why: str) -> None:
    if structlog.is_configured():  # by a server or an executor, as a command prints its result and nothing else
        log.warning(what, memory=memory, version=version, why=why)


def _remove(paths: Iterator[Path]) -> None:
    with suppress(OSError):
        for path in paths:
            path.unlink(missing_ok=True)


def _to_json(state: Memory) -> object:
    """Returns `state` as JSON, in order; `by_statement` becomes a list because its keys are pairs."""
    statements = [[*key, fact] for key, fact in state.by_statement.items()]
    return {**to_json(replace(state, by_statement=MappingProxyType({}))), "by_statement": statements}


def _from_json(value: dict[str, Any]) -> Memory:
    statements = {(subject, relation): FactId(fact) for subject, relation, fact in value.pop("by_statement")}
    return fold((), onto=replace(from_json(Memory, value), by_statement=statements))
