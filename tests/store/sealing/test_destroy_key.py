"""A key that is thrown away is gone from the database's files, and folded states that held its words go with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.errors.base import NotReady
from core.events import Event
from core.evolve import fold
from core.ids import Digest
from core.state.memory import Memory
from store.artifacts import Artifacts
from store.database.engine import reading
from store.log.event_log import EventLog
from store.log.verify import verify_log
from store.sealing import destroy_key
from store.sealing.destroy_key import throw_key_away
from store.state import loading
from store.state.loading import load_state
from store.state.snapshots import SUFFIX, Snapshots
from tests.core.samples import ARIA, BO, DAY, added
from tests.databases import own_opens
from tests.patience import PATIENCE
from tests.store.archives import artifacts, lived
from tests.store.given import DEMO, OTHER, new, told
from tests.store.state.test_snapshots import all_there

__all__ = ["artifacts"]


@pytest.fixture
def aria(log: EventLog) -> bytes:
    """The key of a fact among others."""
    log.append(DEMO, [new(added(ARIA)), new(added(BO)), *(told(number) for number in range(50))], expected=0)
    key = log.keyring.key(ARIA.id)
    assert key
    return key


def key_files(log: EventLog, folder: Path) -> Iterator[bytes]:
    """The files in which the database keeps its keys."""
    if log.engine.dialect.name == "sqlite":
        yield from (path.read_bytes() for path in folder.glob("log.db*"))
        return
    with reading(log.engine).connect() as connection:
        connection.execute(text("CHECKPOINT"))
        root = connection.execute(text("SHOW data_directory")).scalar_one()
        place = connection.execute(text("SELECT pg_relation_filepath('data_keys')")).scalar_one()
    yield (Path(root) / place).read_bytes()


def test_no_byte_of_a_key_is_left_where_the_database_keeps_it(log: EventLog, aria: bytes, tmp_path: Path) -> None:
    assert any(aria in content for content in key_files(log, tmp_path))

    throw_key_away(log.engine, ARIA.id)

    assert not any(aria in content for content in key_files(log, tmp_path))
    other = log.keyring.key(BO.id)
    assert other
    assert any(other in content for content in key_files(log, tmp_path))
    assert (log.keyring.key(ARIA.id), log.keyring.thrown_away()) == (None, 1)


@pytest.mark.parametrize("searched", [destroy_key.SEARCHED_BYTES, 0], ids=["searched", "too large to search"])
def test_no_file_of_the_database_is_opened_but_by_sqlite(
    log: EventLog, aria: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: int
) -> None:
    monkeypatch.setattr(destroy_key, "SEARCHED_BYTES", searched)

    with own_opens() as opens:
        throw_key_away(log.engine, ARIA.id)

    assert [path for path in opens if "log.db" in path] == []
    assert not any(aria in content for content in key_files(log, tmp_path))


def test_doing_it_again_completes_what_was_cut_short(
    log: EventLog, aria: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    if log.engine.dialect.name != "sqlite":
        pytest.skip("there is one step after the key is gone")
    with monkeypatch.context() as patched:
        patched.setattr(destroy_key, "_empty_wal", killed)
        with pytest.raises(KeyboardInterrupt):
            throw_key_away(log.engine, ARIA.id)

    throw_key_away(log.engine, ARIA.id)

    assert not any(aria in content for content in key_files(log, tmp_path))


@pytest.mark.parametrize("killed", [False, True], ids=["at once", "after a kill"])
def test_a_copy_that_an_older_version_left_behind_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as log:
        log.append(DEMO, [new(added(ARIA))], expected=0)
        key = log.keyring.key(ARIA.id)
        assert key
        with log.engine.begin() as connection:
            connection.execute(text("CREATE TABLE old (key BLOB)"))
            connection.execute(text("INSERT INTO old VALUES (:key)"), {"key": key})
        with reading(log.engine).connect() as connection:  # as before `secure_delete`
            connection.execute(text("PRAGMA secure_delete = OFF"))
            connection.execute(text("DROP TABLE old"))
            connection.execute(text("PRAGMA secure_delete = ON"))
        if killed:  # the second attempt does not know any more what to look for
            with monkeypatch.context() as patched:
                patched.setattr(destroy_key, "_wipe_sqlite", kill)
                with pytest.raises(KeyboardInterrupt):
                    throw_key_away(log.engine, ARIA.id)

        throw_key_away(log.engine, ARIA.id)

        assert not any(key in content for content in key_files(log, tmp_path))


def test_a_reader_that_does_not_end_is_named_and_nothing_is_claimed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.database.engine.BUSY_SECONDS", 10 * PATIENCE)  # an erasure does not wait as writers do
    with EventLog.open(url) as log:
        log.append(DEMO, [new(added(ARIA))], expected=0)
        with reading(log.engine).connect() as reader:
            reader.exec_driver_sql("BEGIN")
            reader.execute(text("SELECT * FROM data_keys")).all()
            with pytest.raises(NotReady, match="being read"):
                throw_key_away(log.engine, ARIA.id)
            log.append(DEMO, [new(added(BO))], expected=1)  # writers are not held up
            reader.exec_driver_sql("COMMIT")
        throw_key_away(log.engine, ARIA.id)


def test_what_else_keeps_a_key_from_being_wiped_is_not_called_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OperationalError("VACUUM", None, sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(destroy_key, "_wipe_sqlite", full)
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as log:
        log.append(DEMO, [new(added(ARIA))], expected=0)
        with pytest.raises(OperationalError, match="disk is full"):
            throw_key_away(log.engine, ARIA.id)


def test_every_snapshot_of_a_memory_goes(tmp_path: Path) -> None:
    cache = Snapshots(tmp_path)
    for memory in (DEMO, OTHER):
        for version in (2, 3):
            cache.save(memory, fold(DAY[:version]), Digest("1" * 64), all_there)
    (tmp_path / DEMO / ".tmp-left").write_text("by one that was killed")

    cache.remove_all(DEMO)
    cache.remove_all(DEMO)

    assert list((tmp_path / DEMO).iterdir()) == []
    assert cache.load(OTHER, 3, all_there)


def test_a_state_that_was_read_before_an_erasure_is_not_kept_after_it(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVERY", 2)
    log.append(DEMO, [new(event) for event in DAY], expected=0)
    cache = Snapshots(tmp_path / "snapshots")
    folded: list[Callable[[], None]] = [lambda: throw_key_away(log.engine, ARIA.id)]

    def slow(events: list[Event], onto: Memory) -> Memory:
        found = fold(list(events), onto)
        folded.pop()()  # meanwhile
        return found

    monkeypatch.setattr(loading, "fold", slow)
    assert load_state(log, cache, DEMO).facts[ARIA.id].fact.subject == ARIA.subject

    assert not list((tmp_path / "snapshots").rglob(f"*{SUFFIX}"))


def test_a_snapshot_that_was_trusted_before_an_erasure_is_not_passed_on_after_it(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVERY", 2)
    cache = Snapshots(tmp_path / "snapshots")
    log.append(DEMO, [new(event) for event in DAY], expected=0)
    load_state(log, cache, DEMO)  # which is kept with the words
    log.append(DEMO, [told(number) for number in range(3)], expected=len(DAY))
    trusted = loading._trusted

    def slow(*given: Any) -> tuple[Memory, Digest]:
        found = trusted(*given)
        throw_key_away(log.engine, ARIA.id)  # meanwhile
        cache.remove_all(DEMO)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(loading, "_trusted", slow)
        load_state(log, cache, DEMO)

    assert not list((tmp_path / "snapshots").rglob(f"*{SUFFIX}"))
    assert load_state(log, cache, DEMO).facts[ARIA.id].fact.subject == ""


@pytest.mark.parametrize("version", [None, len(DAY)], ids=["now", "then"])
def test_a_snapshot_in_a_folder_that_an_erasure_did_not_know_is_of_no_use(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    monkeypatch.setattr(loading, "EVERY", 2)
    elsewhere = Snapshots(tmp_path / "elsewhere")
    log.append(DEMO, [new(event) for event in DAY], expected=0)
    assert load_state(log, elsewhere, DEMO).facts[ARIA.id].fact.subject == ARIA.subject
    throw_key_away(log.engine, ARIA.id)
    (kept,) = (tmp_path / "elsewhere").rglob(f"*{SUFFIX}")  # it was not removed, and its key is gone
    assert ARIA.subject.encode() not in kept.read_bytes()
    assert elsewhere.load(DEMO, len(DAY), log.keyring.keys) is None
    log.append(DEMO, [told()], expected=len(DAY))

    assert load_state(log, elsewhere, DEMO, version).facts[ARIA.id].fact.subject == ""
    assert load_state(log, elsewhere, DEMO, version).facts[BO.id].fact.subject == BO.subject


def test_a_state_of_then_has_blank_words_and_the_log_verifies(
    log: EventLog, artifacts: Artifacts, tmp_path: Path
) -> None:
    lived(log, artifacts, life=DAY)
    throw_key_away(log.engine, ARIA.id)

    then = load_state(log, Snapshots(tmp_path / "snapshots"), DEMO, 3).facts[ARIA.id]

    assert (then.fact.id, then.fact.subject, then.fact.object) == (ARIA.id, "", "")
    assert verify_log(log, artifacts).fault is None
