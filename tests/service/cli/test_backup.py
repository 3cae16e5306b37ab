"""`docs/backup.md`, command by command, on a memory that has lived a little."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from service.app.store import open_store
from tests.prepared import DEMO, Place, tell
from tests.service.cli.test_commands import Shell

PAGE = Path(__file__).parents[3] / "docs" / "backup.md"
COMMANDS = re.findall(r"^    hypnogram (.*)$", PAGE.read_text(), flags=re.MULTILINE)


@pytest.fixture
def shell(small: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    settings = small.settings()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
    monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))
    with open_store(settings) as store:
        tell(store, ("Bo Lind", "lives in", "Lima"))
    return Shell(capsys, monkeypatch)


def test_the_page_about_backups_can_be_followed_to_the_letter(shell: Shell, small: Place, tmp_path: Path) -> None:
    assert [line.split()[0] for line in COMMANDS] == ["backup", "restore", "verify", "verify"]

    for line in COMMANDS:
        shell.out(*shlex.split(line))

    place = small.settings().model_copy(
        update={
            "database_url": f"sqlite:///{tmp_path}/restored/hypnogram.db",
            "artifact_folder": tmp_path / "restored" / "artifacts",
        }
    )
    with open_store(small.settings()) as old, open_store(place) as new:
        assert [event.id for event in new.log.read()] == [event.id for event in old.log.read()]
        tell(new, ("Ann Lee", "lives in", "Rome"), memory=DEMO)


def test_what_was_written_is_said(shell: Shell, tmp_path: Path) -> None:
    written = shell.json("backup", "backup.tar")

    assert written == {"events": 2, "artifacts": 1, "size": (tmp_path / "backup.tar").stat().st_size}
    assert f"{written['size']:,} bytes" in shell.out("backup", "again.tar")


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (("backup", "backup.tar"), "choose another name"),
        (("backup", "file/backup.tar"), "choose another place"),
        (("restore", "backup.tar"), "name another with --db"),
        (("restore", "none.tar", "--db", "sqlite:///new/log.db"), "name a backup"),
        (("restore", "backup.tar", "--db", "postgresql://nobody@nowhere/db"), "pg_dump"),
        (("restore", "backup.tar", "--db", "nonsense"), "use sqlite:///"),
        (("restore", "backup.tar", "--db", "sqlite:///file/log.db"), "choose another place"),
        (("import", "backup.tar"), "hypnogram restore"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], step: str
) -> None:
    shell.out("backup", "backup.tar")
    (tmp_path / "file").write_text("mine")

    status, out, err = shell.run(*arguments)

    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert step in err
