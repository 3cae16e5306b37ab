"""What passes by itself is told from what does not."""

import errno
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.ids import MemoryId
from store.database.engine import connect
from store.database.reach import why_out_of_reach
from store.log.event_log import EventLog
from tests.store.given import DEMO, new, told


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOTDIR])
def test_a_disk_that_cannot_be_used_is_out_of_reach(number: int) -> None:
    assert why_out_of_reach(OSError(number, "words of the system"))


@pytest.mark.parametrize(
    "error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), BrokenPipeError(), KeyError()]
)
def test_a_bug_is_not_a_store_out_of_reach(error: Exception) -> None:
    assert why_out_of_reach(error) is None


def test_a_full_database_is_out_of_reach_and_a_wrong_statement_is_not(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(OperationalError) as wrong, engine.begin() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(OperationalError) as full:
            connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))
    engine.dispose()

    assert why_out_of_reach(wrong.value) is None
    assert why_out_of_reach(full.value) == "database or disk is full"


def test_an_append_that_finds_no_room_is_out_of_reach_and_succeeds_once_there_is(tmp_path: Path) -> None:
    """The writer speaks to the driver itself, so its errors take another way."""
    with EventLog.open(f"sqlite:///{tmp_path}/a.db") as log:
        session = log._writer._session
        pages = session._connection.execute("PRAGMA page_count").fetchone()[0]
        session._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OperationalError) as full:
            log.append(DEMO, [told() for _ in range(1000)], None)
        session._connection.execute("PRAGMA max_page_count = 1000000")

        assert why_out_of_reach(full.value) == "database or disk is full"
        assert log.head(DEMO) == 0
        log.append(MemoryId("other"), [new(told().event)], 0)


def test_a_postgresql_that_does_not_answer_is_out_of_reach() -> None:
    engine = connect("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(OperationalError) as away:
        engine.connect()

    assert why_out_of_reach(away.value)


@pytest.mark.parametrize(("state", "passes"), [("57P01", True), ("53100", True), ("25006", True), ("42P01", False)])
def test_postgresql_says_by_its_state_whether_it_passes(state: str, passes: bool) -> None:
    import psycopg

    assert bool(why_out_of_reach(psycopg.errors.lookup(state)("words"))) is passes
