"""Opening databases: empty, ready, older, newer, and not ours."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from core.errors.base import InvalidField, SchemaMismatch
from store.database.engine import alembic_config, connect, migrate
from store.database.schema import head
from store.log.event_log import EventLog
from tests.store.given import DEMO, told

ROOT = Path(__file__).parents[3]


def test_the_migrations_make_the_tables_of_the_schema(log: EventLog) -> None:
    config = alembic_config()
    with log.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_alembic_itself_reaches_a_database_by_url(url: str) -> None:
    for words in (["upgrade", "head"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "-x", f"db={url}", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_an_empty_database_is_made_ready_by_whoever_comes_first(url: str) -> None:
    failures: list[BaseException] = []

    def open_it() -> None:
        try:
            EventLog.open(url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_only_their_owner_may_read_the_files_of_a_database(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        log = EventLog.open(f"sqlite:///{tmp_path}/data/log.db")
        log.append(DEMO, [told()], expected=0)
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    log.close()
    assert modes == {"log.db": 0o600, "log.db-wal": 0o600, "log.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) & 0o077 == 0


def test_opening_again_changes_nothing(url: str) -> None:
    with EventLog.open(url) as log:
        appended = log.append(DEMO, [told()], expected=0)
    with EventLog.open(url) as log:
        assert log.read() == list(appended)


def test_a_database_before_the_first_migration_is_upgraded(url: str) -> None:
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    migrate(engine)
    with engine.begin() as connection:
        assert connection.execute(select(head.c.position)).scalar_one() == 0
    engine.dispose()


def test_a_database_of_a_later_schema_says_to_upgrade(url: str) -> None:
    with EventLog.open(url) as log, log.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaMismatch, match="upgrade hypnogram") as refusal:
        EventLog.open(url)
    assert refusal.value.metadata["found"] == "9999"


def test_a_database_with_other_tables_is_left_alone(url: str) -> None:
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events (day TEXT)"))
    engine.dispose()

    with pytest.raises(SchemaMismatch, match="empty database"):
        EventLog.open(url)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "diary.txt"
    file.write_text("Dear diary, " * 100)

    with pytest.raises(SchemaMismatch, match="not a database"):
        EventLog.open(f"sqlite:///{file}")
    assert file.read_text().startswith("Dear diary")


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidField, match="cannot be opened"):
        EventLog.open("postgresql+psycopg://nobody@127.0.0.1:1/log")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"], ids=str)
def test_a_url_of_no_supported_database_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidField, match="use sqlite:///"):
        EventLog.open(url)


def test_a_sqlite_log_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.db"
    with EventLog.open(f"sqlite:///{path}") as log, log.engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    assert sqlite3.connect(path).execute("SELECT position FROM head").fetchone() == (0,)


def test_a_log_has_one_end(log: EventLog) -> None:
    with pytest.raises(IntegrityError), log.engine.begin() as connection:
        connection.execute(insert(head).values(id=2, position=0, hash=""))
    with log.engine.begin() as connection:
        assert connection.execute(update(head).values(position=0)).rowcount == 1
