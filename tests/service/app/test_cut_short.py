"""No command goes on silently after a loss: it says what is lost and what to do, and then the log goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.app.store import open_store
from store.log.event_log import EventLog
from tests.prepared import DEMO, Place
from tests.service.cli.test_commands import Shell
from tests.store.given import told

LOST = 4
REFUSED = [("serve",), ("executor",), ("replay",), ("export", "{new}", "--as", "archive"), ("report", "{new}")]


@pytest.fixture
def shell(small: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Where acknowledged events are lost with the write-ahead log that held them."""
    settings = small.settings()
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
    monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))
    kept = small.folder / "kept.db"
    shutil.copy(small.folder / "hypnogram.db", kept)
    with open_store(settings) as store:
        store.log.append(DEMO, [told(number) for number in range(LOST)], expected=None)
    kept.replace(small.folder / "hypnogram.db")
    return Shell(capsys, monkeypatch)


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_a_command_refuses_a_log_that_lost_its_end(
    shell: Shell, small: Place, tmp_path: Path, command: tuple[str, ...]
) -> None:
    status, out, err = shell.run(*(part.format(new=tmp_path / "new") for part in command))

    assert (status, out) == (1, "")
    assert f"{LOST} events are lost, from event 2 on" in err
    assert "hypnogram verify --accept-loss" in err
    with EventLog.open(small.settings().database_url) as log:
        assert log.position() == 1


def test_verify_names_the_loss_until_it_is_accepted(shell: Shell, small: Place) -> None:
    status, _, err = shell.run("verify", "--no-weights")
    assert status == 1
    assert f"{LOST} events are lost, from event 2 on" in err

    accepted = shell.json("verify", "--no-weights", "--accept-loss")
    after = shell.json("verify", "--no-weights")

    assert accepted == after
    assert (after["events"], after["fault"]) == (1, None)
    with open_store(small.settings()) as store:
        store.log.append(DEMO, [told(1)], expected=1)


def test_accepting_where_nothing_is_lost_changes_nothing(small: Place, shell: Shell) -> None:
    shell.json("verify", "--no-weights", "--accept-loss")
    before = sorted((small.folder / "artifacts" / "anchors").rglob("*"))

    shell.json("verify", "--no-weights", "--accept-loss")

    assert sorted((small.folder / "artifacts" / "anchors").rglob("*")) == before
