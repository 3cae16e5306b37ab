"""Group commit: appends share commits, and one thread's misfortune is not another's."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from core.ids import MemoryId
from store.log.driver_session import Session
from store.log.event_log import EventLog
from tests.patience import PATIENCE
from tests.store.given import DEMO, told

CLIENTS = 16
EACH = 20


def append_all(log: EventLog, number: int) -> None:
    for version in range(EACH):
        log.append(MemoryId(f"memory-{number}"), [told()], expected=version)


def spoil(log: EventLog, monkeypatch: pytest.MonkeyPatch, how: Callable[[Callable[..., None], int], None]) -> list[int]:
    """Commits go through `how`, which gets the real commit and the number of commits before it."""
    session: Session = log._writer._session
    real, commits = session.commit, [0]

    def commit(*arguments: Any) -> None:
        commits[0] += 1
        how(lambda: real(*arguments), commits[0] - 1)

    monkeypatch.setattr(session, "commit", commit)
    return commits


def test_appends_of_the_same_time_share_commits(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = spoil(log, monkeypatch, lambda commit, _: commit())

    with ThreadPoolExecutor(CLIENTS) as threads:
        wait([threads.submit(append_all, log, number) for number in range(CLIENTS)])

    assert log.position() == CLIENTS * EACH
    assert commits[0] < CLIENTS * EACH / 2


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("which", [0, 7])
def test_an_interrupted_thread_holds_nobody_up(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, written: bool, which: int
) -> None:
    def interrupt(commit: Callable[[], None], before: int) -> None:
        if written or before != which:
            commit()
        if before == which:
            raise KeyboardInterrupt

    spoil(log, monkeypatch, interrupt)
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(append_all, log, number) for number in range(CLIENTS)]
        wait(clients)

    interrupted = [client for client in clients if client.exception()]
    assert [type(client.exception()) for client in interrupted] == [KeyboardInterrupt]
    whole = [log.head(MemoryId(f"memory-{number}")) for number in range(CLIENTS)].count(EACH)
    assert whole >= CLIENTS - 1
    assert [one.position for one in log.read()] == list(range(1, log.position() + 1))


def test_a_database_that_refuses_is_told_to_all_and_the_next_append_works(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = log.engine.dialect.loaded_dbapi

    def refuse(commit: Callable[[], None], before: int) -> None:
        if before == 0:
            raise errors.OperationalError("disk full")
        commit()

    spoil(log, monkeypatch, refuse)

    with pytest.raises(DBAPIError, match="disk full"):
        log.append(DEMO, [told()], expected=0)
    assert log.append(DEMO, [told()], expected=0)[0].position == 1


def test_a_closed_log_says_so(log: EventLog) -> None:
    log.append(DEMO, [told()], expected=0)
    log.close()

    with pytest.raises(RuntimeError, match="closed"):
        log.append(DEMO, [told()], expected=1)


def test_closing_waits_for_what_is_being_written(url: str) -> None:
    log = EventLog.open(url)
    outcomes: list[str] = []

    def append() -> None:
        try:
            while True:
                log.append(DEMO, [told()], expected=None)
        except RuntimeError as refusal:
            outcomes.append(str(refusal))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    log.wait(20, PATIENCE)
    log.close()
    for thread in threads:
        thread.join(60)

    assert outcomes == ["the log is closed"] * 4
