"""Backups are made while others write, come back elsewhere, and hold what was acknowledged before they began."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors.archive import ArchiveDamaged, ExportExists
from core.errors.base import Damaged, InvalidField
from core.ids import Digest
from store.archive.backup import make_backup, restore_backup
from store.archive.exporting import export_archive
from store.archive.importing import import_archive
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.store.archives import artifacts, history, lived
from tests.store.given import DEMO, OTHER, told
from tests.store.log.test_anchor import APPENDER

__all__ = ["artifacts"]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/live.db", tmp_path / "artifacts" / "anchors") as log:
        yield log


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[str, Path]:
    """A database and an artifact folder that are not there yet."""
    return f"sqlite:///{tmp_path}/elsewhere/log.db", tmp_path / "elsewhere" / "artifacts"


def open_store(place: tuple[str, Path]) -> EventLog:
    return EventLog.open(place[0], place[1] / "anchors")


def test_a_backup_comes_back_elsewhere_and_goes_on_from_there(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path]
) -> None:
    lived(live, artifacts)
    written = make_backup(tmp_path / "backup.tar", live, artifacts)
    live.append(OTHER, [told()], expected=0)

    restored = restore_backup(tmp_path / "backup.tar", *elsewhere)

    assert restored == written
    with open_store(elsewhere) as log:
        assert verify_log(log, Artifacts(elsewhere[1])).fault is None
        assert history(log) == history(live)
        assert log.position() == restored.events
        log.append(OTHER, [told()], expected=0)


def test_four_writers_go_on_and_all_that_was_acknowledged_before_is_in_it(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path]
) -> None:
    lived(live, artifacts)
    url, anchors = f"sqlite:///{tmp_path}/live.db", str(artifacts.folder / "anchors")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, url, anchors, f"writer-{number}", "100000"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    try:
        acknowledged = 0
        for writer in writers:
            assert writer.stdout
            acknowledged = max(acknowledged, *(int(writer.stdout.readline()) for _ in range(20)))

        written = make_backup(tmp_path / "backup.tar", live, artifacts)

        for writer in writers:  # none of them was ended by it
            assert writer.stdout
            assert int(writer.stdout.readline())
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    restore_backup(tmp_path / "backup.tar", *elsewhere)

    assert written.events >= acknowledged
    with open_store(elsewhere) as log:
        assert verify_log(log, Artifacts(elsewhere[1])).fault is None
        assert [event.hash for event in log.read(limit=acknowledged)] == [
            event.hash for event in live.read(limit=acknowledged)
        ]


def test_an_older_backup_beside_the_same_artifacts_is_not_taken_for_a_loss(
    live: EventLog, artifacts: Artifacts, tmp_path: Path
) -> None:
    lived(live, artifacts)
    make_backup(tmp_path / "backup.tar", live, artifacts)
    live.append(OTHER, [told()], expected=0)
    live.close()

    restore_backup(tmp_path / "backup.tar", f"sqlite:///{tmp_path}/back.db", artifacts.folder)

    with open_store((f"sqlite:///{tmp_path}/back.db", artifacts.folder)) as log:
        assert log.cut_short is None
        assert log.anchor
        noted = log.anchor.newest()
        assert noted
        assert noted.position == log.position()


def test_equal_databases_make_equal_backups_that_only_their_owner_reads(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path]
) -> None:
    lived(live, artifacts)
    umask = os.umask(0)
    try:
        for name in ("first.tar", "second.tar"):
            make_backup(tmp_path / name, live, artifacts)
        restore_backup(tmp_path / "first.tar", *elsewhere)
    finally:
        os.umask(umask)

    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    for path in (tmp_path / "first.tar", tmp_path / "elsewhere" / "log.db"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("taken", ["log.db", "log.db-wal", "log.db-shm"])
def test_a_restore_replaces_nothing(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path], taken: str
) -> None:
    lived(live, artifacts)
    make_backup(tmp_path / "backup.tar", live, artifacts)
    there = tmp_path / "elsewhere" / taken
    there.parent.mkdir()
    there.write_text("mine")

    with pytest.raises(InvalidField, match="replaces nothing"):
        restore_backup(tmp_path / "backup.tar", *elsewhere)

    assert [path.name for path in there.parent.iterdir()] == [taken]
    assert there.read_text() == "mine"
    with pytest.raises(ExportExists):
        make_backup(tmp_path / "backup.tar", live, artifacts)


@pytest.mark.parametrize("part", [100, 5_000, -3_000])
def test_an_altered_backup_leaves_nothing_behind(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path], part: int
) -> None:
    lived(live, artifacts)
    make_backup(tmp_path / "backup.tar", live, artifacts)
    data = bytearray((tmp_path / "backup.tar").read_bytes())
    data[part] ^= 1
    (tmp_path / "backup.tar").write_bytes(data)

    with pytest.raises(ArchiveDamaged):
        restore_backup(tmp_path / "backup.tar", *elsewhere)

    assert not (tmp_path / "elsewhere").exists()


def test_a_log_that_is_damaged_is_not_backed_up(live: EventLog, artifacts: Artifacts, tmp_path: Path) -> None:
    lived(live, artifacts)
    artifacts.path(Digest(artifacts.list()[0])).unlink()

    with pytest.raises(Damaged, match="artifact"):
        make_backup(tmp_path / "backup.tar", live, artifacts)

    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]


def test_a_full_disk_leaves_no_database(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(live, artifacts)
    make_backup(tmp_path / "backup.tar", live, artifacts)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("store.artifacts.write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            restore_backup(tmp_path / "backup.tar", *elsewhere)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["artifacts"]

    restore_backup(tmp_path / "backup.tar", *elsewhere)


def test_a_backup_and_an_archive_are_not_taken_for_each_other(
    live: EventLog, artifacts: Artifacts, tmp_path: Path, elsewhere: tuple[str, Path]
) -> None:
    lived(live, artifacts)
    make_backup(tmp_path / "backup.tar", live, artifacts)
    export_archive(tmp_path / "archive.tar", live, artifacts, DEMO)

    with pytest.raises(InvalidField, match="hypnogram import"):
        restore_backup(tmp_path / "archive.tar", *elsewhere)
    with pytest.raises(InvalidField, match="hypnogram restore"):
        import_archive(tmp_path / "backup.tar", live, artifacts)


def test_postgresql_is_left_to_its_own_tools(postgresql: str, artifacts: Artifacts, tmp_path: Path) -> None:
    with EventLog.open(postgresql) as log, pytest.raises(InvalidField, match="pg_dump"):
        make_backup(tmp_path / "backup.tar", log, artifacts)
    shutil.copy(__file__, tmp_path / "backup.tar")
    with pytest.raises(InvalidField, match="pg_dump"):
        restore_backup(tmp_path / "backup.tar", postgresql, artifacts.folder)
