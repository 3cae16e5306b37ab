"""A flipped bit in any of 200 random places of the database file and of the artifacts is found, and named."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.ids import MemoryId
from store.artifacts import Artifacts
from store.database.engine import connect
from store.log.event_log import EventLog
from store.log.verify import Fault, verify_log
from tests.store.archive.test_forks import fork
from tests.store.archives import artifacts, lived
from tests.store.given import DEMO, OTHER

__all__ = ["artifacts"]

PLACES = 200
OTHERS = ("leases", "alembic")  # tables that no version of a memory depends on


@pytest.fixture
def database(tmp_path: Path, artifacts: Artifacts) -> Path:
    """A log of three memories, one a fork, in one file without a gap."""
    path = tmp_path / "log.db"
    with EventLog.open(f"sqlite:///{path}") as log:
        lived(log, artifacts)
        lived(log, artifacts, OTHER)
        fork(log, MemoryId("fork"), DEMO, 7)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def filled(path: Path) -> list[int]:
    """Offsets in the file at which something stands that belongs to the log: neither free nor of the schema's text."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        roots = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    but = {1} | {page for name, page in roots if any(other in name for other in OTHERS)}
    return [index for index, byte in enumerate(path.read_bytes()) if byte and index // size + 1 not in but]


def fault(database: Path, artifacts: Artifacts) -> Fault | None:
    with closing(EventLog(connect(f"sqlite:///{database}"))) as log:
        return verify_log(log, artifacts).fault


@contextmanager
def flipped(path: Path, index: int, bit: int) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(whole[:index] + bytes([whole[index] ^ 1 << bit]) + whole[index + 1 :])
    yield
    path.write_bytes(whole)


def test_a_flipped_bit_anywhere_is_found_and_named(database: Path, artifacts: Artifacts) -> None:
    chance = random.Random(4)
    places = [(database, index) for index in chance.sample(filled(database), PLACES // 2)]
    files = [artifacts.path(digest) for digest in artifacts.list()]
    for _ in range(PLACES - len(places)):
        path = chance.choice(files)
        places.append((path, chance.randrange(path.stat().st_size)))
    assert fault(database, artifacts) is None

    for path, index in places:
        bit = chance.randrange(8)
        with flipped(path, index, bit):
            found = fault(database, artifacts)
            assert found, f"bit {bit} of byte {index} of {path.name}"
            assert found.what in found.message
            if path != database:
                assert found.what == "artifact"
                assert path.name in found.message

    assert fault(database, artifacts) is None
