"""Forks, diffs and proofs from the command line, on a memory of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.state.plan import plan
from service.weights.base_models import BaseModels
from tests.prepared import DEMO, Place, start_sleep, state_of, work
from tests.service.cli.test_commands import Terminal
from tests.service.conftest import Running
from tests.service.rpc.history.test_forks import TRIAL, lived, served

__all__ = ["lived", "served"]


@pytest.fixture
def terminal(served: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """For commands of both kinds: those that call the server, and those that read its database."""
    settings = served.settings
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
    monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))
    return Terminal(served, capsys, monkeypatch)


def test_a_memory_is_forked_and_compared_with_its_parent(terminal: Terminal, served: Running) -> None:
    version = served.client.find_version(DEMO, "monday").version
    assert f"trial begins as demo at version {version}" in terminal.out("fork", TRIAL, "--at", "monday")

    found = terminal.json("diff", "--with", TRIAL, "--ask")
    assert [(one["subject"], one["change"]) for one in found["facts"]] == [("Bo Lind", "CHANGE_LOST")]
    assert found["asked"] == 4
    shown = terminal.out("diff", "monday", "--ask")
    assert "added" in shown
    assert "Bo Lind lives in Lima" in shown
    assert "injected, stage 0, scale 1" in shown
    assert "of 4 questions are answered differently" in shown
    assert "The same facts" in terminal.out("diff", "monday", str(version))
    assert f"demo, version {version}" in terminal.out("memory", "show", TRIAL)


@pytest.mark.parametrize("where", [(), ("--remote",)])
def test_a_moment_is_rebuilt_and_restored(terminal: Terminal, served: Running, where: tuple[str, ...]) -> None:
    version = served.client.find_version(DEMO, "monday").version
    found = terminal.json("replay", "--at", "monday", "--restore", TRIAL, *where)

    assert (found["version"], found["restored_as"], found["erased"]) == (version, TRIAL, 0)
    assert found["rebuilt_weights"] == found["recorded_weights"]
    assert served.client.memory(TRIAL).memory.weights_digest == found["rebuilt_weights"]
    assert terminal.json("replay", "--version", "2", *where)["version"] == 2


@pytest.mark.parametrize("where", [(), ("--remote",)])
def test_all_is_verified_here_and_by_a_server(terminal: Terminal, served: Running, where: tuple[str, ...]) -> None:
    found = terminal.json("verify", *where)

    assert (found["fault"], found["events"], found["weights"]) == (None, served.store.log.position(), 3)
    assert "Everything is as it was written." in terminal.out("verify", "--no-weights", *where)


@pytest.mark.parametrize("where", [(), ("--remote",)])
def test_a_fault_is_named_and_is_a_failure(terminal: Terminal, served: Running, where: tuple[str, ...]) -> None:
    (delta, *_) = plan(state_of(served.store)).deltas
    next(path for path in served.settings.artifact_folder.rglob("*") if path.name.startswith(delta)).unlink()
    status, out, err = terminal.run("verify", *where)
    told = terminal.run("verify", *where, "--json")

    assert (status, out) == (1, "")
    assert delta in err
    assert len(err.splitlines()) == 1
    assert told[0] == 1
    assert '"what": "artifact"' in told[1]


def test_adapters_are_compacted(terminal: Terminal, served: Running, bases: BaseModels) -> None:
    start_sleep(served.store, seed=1)
    work(served.store, bases)
    found = terminal.json("compact", "--bound", "0.5")

    assert found["columns_after"] < found["columns_before"]
    assert found["weights_after"] == state_of(served.store).weights


def test_a_fork_is_exported_and_drawn_at_a_moment(terminal: Terminal, served: Running, tmp_path: Path) -> None:
    version = served.client.fork(TRIAL, DEMO, "monday").version
    digest = served.client.memory(TRIAL).memory.weights_digest
    for kind in ("archive", "adapter"):
        found = terminal.json("export", str(tmp_path / kind), "--as", kind, "-m", TRIAL, "--at", str(version))
        assert (found["memory"], found["version"], found["weights_digest"]) == (TRIAL, version, digest)
    there = Place(tmp_path / "there")
    there.folder.mkdir()
    database = ("--db", there.settings().database_url, "--artifacts", str(there.settings().artifact_folder))
    terminal.json("import", str(tmp_path / "archive"), *database)
    assert terminal.json("replay", "-m", TRIAL, *database)["rebuilt_weights"] == digest
    terminal.out("report", str(tmp_path / "page.html"), "-m", TRIAL, "--at", str(version))
    assert "Aria Moss" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("fork", "demo"), 1, "there is a memory 'demo' already"),
        (("fork", "trial", "--at", "99"), 1, "see `hypnogram log`"),
        (("fork", "trial", "--at", "2001-01-01T00:00"), 1, "its first event is from"),
        (("fork", "trial", "-m", "nobody"), 1, "nobody"),
        (("diff", "friday"), 1, "see `hypnogram checkpoint list`"),
        (("diff", "--with", "nobody"), 1, "nobody"),
        (("compact", "--bound", "2"), 1, "bound"),
        (("compact",), 1, "nothing to compact"),
        (("replay", "--at", "friday"), 1, "see `hypnogram checkpoint list`"),
        (("replay", "--restore", "demo"), 1, "there is a memory 'demo' already"),
        (("replay", "--restore", "Demo"), 1, "restore"),
        (("replay", "--at", "2", "--version", "2"), 2, "give one of them"),
        (("replay", "--remote", "--verify"), 2, "hypnogram verify --remote"),
        (("verify", "--remote", "--device", "cpu"), 2, "--remote leaves the database to the server"),
        (("export", "here", "--as", "archive", "--at", "friday"), 1, "see `hypnogram checkpoint list`"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_do(
    terminal: Terminal, arguments: tuple[str, ...], status: int, words: str
) -> None:
    found, out, err = terminal.run(*arguments)

    assert (found, out) == (status, "")
    assert words in err
    assert len(err.splitlines()) == 1
