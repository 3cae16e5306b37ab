"""A log that lost its end is missed, whoever appended to it and however it was lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text, update

from core.errors.base import Damaged, LogCutShort
from core.ids import MemoryId
from store.artifacts import Artifacts, write_atomically
from store.database.schema import events, head
from store.log.anchor import Anchor
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.patience import eventually
from tests.store.given import DEMO, OTHER, told

APPENDER = """
import os, sys
from pathlib import Path
from core.ids import MemoryId
from store.log.event_log import EventLog
from tests.store.given import told
log = EventLog.open(sys.argv[1], Path(sys.argv[2]))
for number in range(int(sys.argv[4])):
    recorded = log.append(MemoryId(sys.argv[3]), [told(number)], None)
    os.write(1, f"{recorded[0].position}\\n".encode())
sys.stdin.readline()
"""


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    return Artifacts(tmp_path / "artifacts").folder / "anchors"


def until_noted(log: EventLog, position: int) -> None:
    """Waits until the thread has noted an end as far as `position`."""
    eventually(lambda: noted_at(log) >= position)


def noted_at(log: EventLog) -> int:
    assert log.anchor
    noted = log.anchor.newest()
    return noted.position if noted else 0


def cut(url: str, keep: int) -> None:
    """Takes events off the end of a log, so that what is left is sound."""
    with EventLog.open(url) as log, log.engine.begin() as connection:
        if log.engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER events_refuse_delete"))
        else:
            connection.execute(text("DROP TRIGGER events_refuse_change ON events"))
        connection.execute(delete(events).where(events.c.position > keep))
        last = connection.execute(select(events.c.hash).where(events.c.position == keep)).scalar_one()
        connection.execute(update(head).values(position=keep, hash=last))


@pytest.mark.parametrize("ends", ["closed", "killed"])
def test_a_log_that_lost_its_end_is_named_with_how_many_events_and_from_where(
    url: str, anchors: Path, ends: str
) -> None:
    log = EventLog.open(url, anchors)
    log.append(DEMO, [told(number) for number in range(5)], expected=0)
    if ends == "killed":
        until_noted(log, 5)
    log.close()
    cut(url, keep=2)

    with EventLog.open(url, anchors) as shorter:
        fault = verify_log(shorter, Artifacts(anchors.parent)).fault
        refusal = shorter.cut_short

    assert fault
    assert (fault.position, fault.what) == (3, "end")
    assert "ends with event 2, but event 5 was acknowledged: 3 events are lost, from event 3 on" in fault.message
    assert refusal
    assert str(refusal) == fault.message


def test_a_database_file_without_its_write_ahead_log_is_missed_from_the_first_event_on(
    tmp_path: Path, anchors: Path
) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db", anchors) as log:
        log.append(DEMO, [told(number) for number in range(20)], expected=0)
        until_noted(log, 20)
        shutil.copy(tmp_path / "log.db", tmp_path / "copy.db")

    with EventLog.open(f"sqlite:///{tmp_path}/copy.db", anchors) as copy:
        fault = verify_log(copy, Artifacts(anchors.parent)).fault

    assert fault
    assert (fault.position, fault.what) == (1, "end")
    assert "20 events are lost, from event 1 on" in fault.message


def test_a_loss_is_not_hidden_by_what_is_appended_after_it(url: str, anchors: Path) -> None:
    with EventLog.open(url, anchors) as log:
        log.append(DEMO, [told(number) for number in range(5)], expected=0)
    cut(url, keep=2)
    with EventLog.open(url) as unaware:
        unaware.append(DEMO, [told(number) for number in range(9)], expected=2)

    for _ in range(2):  # looking at it does not hide it either
        with EventLog.open(url, anchors) as log:
            fault = verify_log(log, Artifacts(anchors.parent)).fault
        assert fault
        assert (fault.position, fault.what) == (5, "end")
        assert "not the one that was acknowledged" in fault.message


def test_a_loss_that_is_accepted_is_named_no_more_and_the_next_one_is(url: str, anchors: Path) -> None:
    with EventLog.open(url, anchors) as log:
        log.append(DEMO, [told(number) for number in range(5)], expected=0)
    cut(url, keep=3)
    with EventLog.open(url, anchors) as log:
        log.accept_loss()
        assert verify_log(log, Artifacts(anchors.parent)).fault is None

    cut_again = EventLog.open(url, anchors)
    assert cut_again.cut_short is None
    cut_again.close()
    with EventLog.open(url) as log, log.engine.begin() as connection:
        connection.execute(delete(events).where(events.c.position > 1))
        last = connection.execute(select(events.c.hash).where(events.c.position == 1)).scalar_one()
        connection.execute(update(head).values(position=1, hash=last))
    with EventLog.open(url, anchors) as log:
        assert isinstance(log.cut_short, LogCutShort)
        assert log.cut_short.metadata == {"position": "2", "noted": "3"}


def test_another_log_beside_the_same_artifacts_is_not_taken_for_a_shorter_one(tmp_path: Path, anchors: Path) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/one.db", anchors) as log:
        log.append(DEMO, [told(number) for number in range(5)], expected=0)
    (tmp_path / "one.db").unlink()

    for name in ("one", "two"):
        with EventLog.open(f"sqlite:///{tmp_path}/{name}.db", anchors) as fresh:
            assert fresh.cut_short is None
            fresh.append(DEMO, [told()], expected=0)
            assert verify_log(fresh, Artifacts(anchors.parent)).fault is None


def test_several_processes_note_and_no_note_goes_backwards(url: str, anchors: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, url, str(anchors), name, "60"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in (DEMO, OTHER, MemoryId("third"))
    ]
    with EventLog.open(url, anchors) as log:
        seen: list[int] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.005):
                seen.append(noted_at(log))

        watcher = threading.Thread(target=watch)
        watcher.start()
        acknowledged = 0
        for process in started:
            assert process.stdout
            acknowledged = max(acknowledged, *(int(process.stdout.readline()) for _ in range(60)))
        until_noted(log, acknowledged)
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        ended.set()
        watcher.join()

    assert acknowledged == 180
    assert seen == sorted(seen)


def test_a_late_note_of_an_earlier_end_changes_nothing(
    url: str, anchors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EventLog.open(url) as log:
        log.append(DEMO, [told(1)], expected=0)
        slow, fast = Anchor(log.engine, anchors), Anchor(log.engine, anchors)

        def late(path: Path, data: bytes) -> None:
            monkeypatch.undo()
            log.append(DEMO, [told(2)], expected=1)
            fast.note()  # of another process, before this one comes to write
            write_atomically(path, data)

        monkeypatch.setattr("store.log.anchor.write_atomically", late)
        slow.note()
        noted = slow.newest()

    assert noted
    assert noted.position == 2


@pytest.fixture
def away(anchors: Path) -> Path:
    """Where the artifact folder is for a while."""
    return anchors.parent.rename(anchors.parent.with_name("away"))


def test_appends_go_on_where_nothing_can_be_noted_and_it_is_noted_later(url: str, anchors: Path, away: Path) -> None:
    with EventLog.open(url, anchors) as log:
        log.append(DEMO, [told(1)], expected=0)
        log.append(DEMO, [told(2)], expected=1)
        assert not anchors.parent.exists()  # it is not made anew below its owner's hands

        away.rename(anchors.parent)
        until_noted(log, 2)


def test_notes_that_cannot_be_read_are_named(url: str, anchors: Path) -> None:
    with EventLog.open(url, anchors) as log:
        log.append(DEMO, [told(1)], expected=0)
    (note,) = [path for path in anchors.rglob("*") if path.is_file()]
    note.unlink()
    note.mkdir()

    with pytest.raises(Damaged, match="cannot be read"):
        EventLog.open(url, anchors)
