"""A second process opens the database of one that has erased, and goes: what the first acknowledges is still durable.

SQLite's locks belong to a process. One that opens and closes a file of the database by itself loses them, the next
process to leave takes itself for the last, and deletes the write-ahead log to which the first goes on writing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.support.processes import line_of, process
from benchmarks.support.tiny import make
from core.events.history import CheckpointMarked
from service.app.store import open_store
from service.weights.base_models import BaseModels
from store.log.verify import verify_log
from tests.databases import own_opens
from tests.prepared import DEMO, Place, create, tell, work
from tests.service.cli.test_commands import Shell
from tests.service.test_documented import COMMANDS

APPENDED = 5
OPENING = [  # what opens the database, where "{new}" is a name that nothing has
    ("serve",),
    ("executor",),
    ("verify",),
    ("replay",),
    ("replay", "--restore", "back"),
    ("export", "{new}", "--as", "archive"),
    ("export", "{new}", "--as", "adapter"),
    ("import", "{archive}", "--memory", "arrived"),
    ("report", "{new}"),
    ("backup", "{new}"),
    ("token", "list"),
]

pytestmark = pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, bases: BaseModels) -> Place:
    """A memory with one fact in its weights. To be copied, not changed."""
    place = made(tmp_path_factory.mktemp("lived"))
    with open_store(place.settings()) as store:
        tell(store, ("Bo Lind", "lives in", "Lima"))
        work(store, bases)
    return place


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Another database with a memory."""
    return made(tmp_path_factory.mktemp("other"))


def made(folder: Path) -> Place:
    place = Place(folder)
    make(folder / "base")
    with open_store(place.settings()) as store:
        create(store, str(folder / "base"))
    return place


@pytest.fixture
def _brief(lived: Place, other: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Servers and executors that end as soon as all is open."""

    async def served(*_: object, **__: object) -> None:
        pass

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr("service.rpc.server.serve", served)
    monkeypatch.setattr("service.app.supervision.run_on", lambda works, stop: stop.set())
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def shell(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    settings = place.settings()
    monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
    monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))
    return Shell(capsys, monkeypatch)


@pytest.mark.usefixtures("_brief")
@pytest.mark.parametrize("command", OPENING, ids=" ".join)
def test_nothing_acknowledged_is_lost_when_a_second_process_leaves_after_an_erasure(
    lived: Place,
    other: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    place, archive = lived.copy(tmp_path / "place"), tmp_path / "other.tar"
    shell(other, capsys, monkeypatch).out("export", str(archive), "--as", "archive")
    arguments = [part.format(new=tmp_path / "new", archive=archive) for part in command]

    with process("benchmarks.faults.eraser", place.settings().database_url, DEMO) as first:
        assert line_of(first) == "erased"
        with own_opens() as opens:
            shell(place, capsys, monkeypatch).out(*arguments)
        assert first.stdin is not None
        for _ in range(APPENDED):
            first.stdin.write("append\n")
            first.stdin.flush()
            assert line_of(first) == "durable"
        first.kill()
        first.wait()

    assert not [path for path in opens if path.startswith(f"{place.folder}/hypnogram.db")]
    with open_store(place.settings()) as store:
        marks = [recorded for recorded in store.log.read(memory=DEMO) if isinstance(recorded.event, CheckpointMarked)]
        assert len(marks) == APPENDED
        assert verify_log(store.log, store.artifacts).fault is None


def test_every_command_that_opens_the_database_is_tried() -> None:
    opening = {path for path, command in COMMANDS.items() if any("--db" in option.opts for option in command.params)}

    tried = {path for path in opening for command in OPENING if command[: len(path)] == path}
    alike = {("token", "create"), ("token", "revoke")}  # to `token list`: they open the database in the same line
    assert opening - alike - {("restore",)} == tried  # `restore` makes a database of its own
