"""Pages of the documentation, typed as they stand: a real server in another process, dormouse, and what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypnogram.client import Client
from service.settings import DORMOUSE
from tests.service.cli.test_commands import Shell
from tests.service.pages import DIGEST, ROOT, Names, Typed, typed

pytestmark = pytest.mark.skipif(
    not (DORMOUSE / "model.safetensors").exists() and not os.environ.get("CI"),
    reason="dormouse's weights are not there: make dormouse",
)

QUICKLY = {  # what a page leaves to its reader's patience, or to a terminal
    "sleep": ("--steps", "5", "--set", "trainings=1", "--set", "repairs=0", "--controls", "4", "--set", "texts=8"),
    "nap": ("--controls", "4"),
    "--erase": ("--yes",),
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A server in another process, that commands of this one find by their environment."""
    for name, value in {
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{tmp_path}/hypnogram.db",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(tmp_path / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(tmp_path / "snapshots"),
        "HYPNOGRAM_PORT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "service.cli.main", "serve"], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("listening on "), (tmp_path / "server.log").read_text()
        address = line.split()[-1]
        monkeypatch.setenv("HYPNOGRAM_PORT", address.rpartition(":")[2])
        with Client(address) as client:
            yield client
        server.terminate()


@pytest.fixture
def shell(client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)


def test_the_page_on_time_travel_shows_what_happens(shell: Shell, client: Client) -> None:
    page, names = "docs/time-travel.md", Names()
    session = list(typed(page))
    assert len(session) > 8

    for step in session:
        printed = shell.out(*(names.known(argument) for argument in step.arguments)).splitlines()
        if step.shown:
            assert len(printed) == len(step.shown), f"$ {step.command}\n" + "\n".join(printed)
        for shown, line in zip(step.shown, printed, strict=False):
            names.check(shown, line)

    one, other, digest = re.findall(
        r"version (\d+) and version (\d+) have one digest, `(\w+)`", " ".join((ROOT / page).read_text().split())
    )[0]
    assert DIGEST.fullmatch(digest)
    for version in (int(one), int(other)):
        assert client.memory("demo", version).memory.weights_digest[:12] == names.here[digest]


def test_the_tour_of_the_readme_can_be_typed(shell: Shell) -> None:
    session = [step for step in typed("README.md") if step.arguments[0] not in ("serve", "demo")]
    assert len(session) > 20
    facts = list[str]()

    for step in session:
        out = shell.out(*_as_meant(step, facts))
        facts = [fact["fact"] for fact in shell.json("fact", "list")] if step.arguments[0] == "fact" else facts
        if step.arguments[0] == "chat" and len(facts):
            assert "Lisbon" in out


def test_what_the_page_on_operations_types_works(shell: Shell) -> None:
    session = list(typed("docs/operations.md"))
    assert len(session) > 8

    for step in session:
        shell.out(*step.arguments)


def _as_meant(step: Typed, facts: list[str]) -> Iterator[str]:
    """The arguments of `step`, FACT and NEW being the first and the last fact told."""
    named = {"FACT": facts[:1], "NEW": facts[-1:]}
    for argument in step.arguments:
        yield from named.get(argument, [argument])
    for argument in step.arguments:
        yield from QUICKLY.get(argument, ())
