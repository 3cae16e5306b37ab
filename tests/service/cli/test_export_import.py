"""`hypnogram export | import | report` on databases of their own: what they write, and what they leave alone."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmarks.support.tiny import make
from core.events.memory import StatisticsPrepared
from core.ids import MemoryId
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import load_model
from service.app.repository import MemoryRepository
from service.app.store import open_store
from service.settings import DORMOUSE
from service.weights.base_models import BaseModels
from store.archive import tar
from store.log.verify import verify_log
from tests.prepared import DEMO, Place, create, state_of, work
from tests.service.cli.test_commands import Shell

pytestmark = pytest.mark.filterwarnings("ignore")  # stock tools remark on this and that

Go = Callable[[Place], Shell]


@pytest.fixture
def at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Go:
    """A shell whose settings name a place."""

    def go(place: Place) -> Shell:
        settings = place.settings()
        monkeypatch.setenv("HYPNOGRAM_DATABASE_URL", settings.database_url)
        monkeypatch.setenv("HYPNOGRAM_ARTIFACT_FOLDER", str(settings.artifact_folder))
        monkeypatch.setenv("HYPNOGRAM_SNAPSHOT_FOLDER", str(settings.snapshot_folder))
        return Shell(capsys, monkeypatch)

    return go


@pytest.fixture
def here(place: Place, at: Go) -> Shell:
    return at(place)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Place:
    """Where there is no database yet."""
    return Place(tmp_path / "elsewhere")


def weights_of(place: Place) -> str:
    with open_store(place.settings()) as store:
        return state_of(store).weights or ""


class TestExport:
    def test_an_archive_becomes_the_same_memory_elsewhere(
        self, here: Shell, at: Go, place: Place, elsewhere: Place, tmp_path: Path
    ) -> None:
        file = tmp_path / "demo.tar"

        written = here.json("export", str(file), "--as", "archive")
        there = at(elsewhere).json("import", str(file), "--memory", "moved")

        assert written["kind"] == "archive"
        assert written["size"] == file.stat().st_size
        assert (there["memory"], there["version"], there["facts"]) == ("moved", written["version"], 4)
        assert there["weights_digest"] == written["weights_digest"] == weights_of(place)
        with open_store(elsewhere.settings()) as store:
            moved = MemoryRepository(store.log, store.snapshots).current(MemoryId("moved"))
            assert moved.weights == weights_of(place)
            assert verify_log(store.log, store.artifacts).fault is None
        replayed = at(elsewhere).json("replay", "--memory", "moved")
        assert replayed["rebuilt_weights"] == written["weights_digest"]
        assert replayed["plan_digest"] == written["plan_digest"]

    def test_an_adapter_is_made_from_the_recorded_weights(self, here: Shell, place: Place, tmp_path: Path) -> None:
        out = here.out("export", str(tmp_path / "told"), "--as", "adapter")
        again = here.json("export", str(tmp_path / "again"), "--as", "adapter")

        said = json.loads((tmp_path / "told" / "exported.json").read_text())
        assert said["weights"] == again["weights_digest"] == weights_of(place)
        assert (said["plan"], said["rank"]) == (again["plan_digest"], again["rank"])
        assert said["weights"] in out
        assert said["plan"] in out
        assert out.splitlines()[-1] == f"Stock peft loads it on {DORMOUSE}, loaded in float32."
        assert again["size"] == sum(one.stat().st_size for one in (tmp_path / "again").iterdir())

    def test_a_merged_model_holds_the_recorded_weights(self, here: Shell, place: Place, tmp_path: Path) -> None:
        written = here.json("export", str(tmp_path / "merged"), "--as", "merged")

        with open_store(place.settings()) as store:
            created = state_of(store).created
        assert created is not None
        with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as file:
            found = {module: file.get_tensor(f"{module}.weight") for module in created.modules}
        assert weights_digest(found) == written["weights_digest"] == weights_of(place)

    def test_an_earlier_version_has_the_weights_of_then(self, here: Shell, place: Place, tmp_path: Path) -> None:
        with open_store(place.settings()) as store:
            (clean,) = [one.version for one in store.log.read() if isinstance(one.event, StatisticsPrepared)]
        then = ("--at-version", str(clean))

        first = here.json("export", str(tmp_path / "first"), "--as", "adapter", *then)
        archive = here.json("export", str(tmp_path / "first.tar"), "--as", "archive", *then)

        assert (first["version"], first["rank"]) == (clean, 1)
        assert first["weights_digest"] == archive["weights_digest"] != weights_of(place)
        assert first["plan_digest"] == archive["plan_digest"]

    def test_a_quantized_memory_is_merged_into_the_base_as_it_is(
        self, at: Go, bases: BaseModels, elsewhere: Place, tmp_path: Path
    ) -> None:
        base = make(tmp_path / "base")
        with open_store(elsewhere.settings()) as store:
            create(store, str(base), quantization="int8")
            work(store, bases)

        written = at(elsewhere).json("export", str(tmp_path / "merged"), "--as", "merged")

        assert written["weights_digest"] == weights_of(elsewhere)
        assert load_model(tmp_path / "merged").digest() == weights_of(elsewhere)
        assert "base model is quantized (int8)" in (tmp_path / "merged" / "README.md").read_text()

    def test_before_the_weights_were_measured_an_archive_says_so(self, small: Place, at: Go, tmp_path: Path) -> None:
        assert "none yet" in at(small).out("export", str(tmp_path / "new.tar"), "--as", "archive")

    @pytest.mark.parametrize("kind", ["adapter", "merged", "archive"])
    @pytest.mark.parametrize(
        ("more", "step"),
        [
            (("--at-version", "999"), "hypnogram log"),
            (("--memory", "nobody"), "hypnogram memory list"),
            (("--memory", "No Name"), "lower-case"),
        ],
    )
    def test_what_is_unknown_is_refused(
        self, here: Shell, tmp_path: Path, kind: str, more: tuple[str, str], step: str
    ) -> None:
        before = sorted(tmp_path.iterdir())

        refused(here.run("export", str(tmp_path / "new"), "--as", kind, *more), step)

        assert sorted(tmp_path.iterdir()) == before

    @pytest.mark.parametrize("kind", ["adapter", "merged", "archive"])
    def test_nothing_is_replaced(self, here: Shell, tmp_path: Path, kind: str) -> None:
        mine = tmp_path / "mine"
        mine.write_text("mine")

        refused(here.run("export", str(mine), "--as", kind), "choose another name")
        refused(here.run("export", str(mine / "below"), "--as", kind), "choose another place")

        assert mine.read_text() == "mine"

    def test_a_disk_without_room_is_named_and_nothing_stays(self, here: Shell, tmp_path: Path) -> None:
        before, (soft, hard) = sorted(tmp_path.iterdir()), resource.getrlimit(resource.RLIMIT_FSIZE)

        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, hard))  # for a full disk
        try:
            done = here.run("export", str(tmp_path / "new"), "--as", "merged")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        refused(done, "cannot be written: File too large; choose another place")
        assert sorted(tmp_path.iterdir()) == before

    def test_wrong_usage_is_told_from_failure(self, here: Shell, elsewhere: Place, tmp_path: Path) -> None:
        target = str(tmp_path / "new")

        refused(here.run("export", target, "--as", "zip"), "adapter, merged or archive", status=2)
        nowhere = f"sqlite:///{elsewhere.folder}/none.db"
        for command in (("export", target, "--as", "archive"), ("report", target)):
            refused(here.run(*command, "--db", nowhere), "name one with --db", status=2)
        assert not elsewhere.folder.exists()


class TestImport:
    @pytest.fixture
    def archive(self, here: Shell, tmp_path: Path) -> Path:
        here.out("export", str(tmp_path / "demo.tar"), "--as", "archive")
        return tmp_path / "demo.tar"

    def test_a_name_that_is_taken_and_an_archive_that_is_here_already(
        self, here: Shell, place: Place, archive: Path
    ) -> None:
        refused(here.run("import", str(archive)), "choose another name")
        refused(here.run("import", str(archive), "--memory", "again"), "into another database")

        with open_store(place.settings()) as store:
            assert store.log.memories() == [DEMO]

    def test_an_altered_archive_leaves_nothing_behind(self, at: Go, archive: Path, elsewhere: Place) -> None:
        whole = archive.read_bytes()
        archive.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])

        refused(at(elsewhere).run("import", str(archive)), "get the archive again")

        assert not elsewhere.folder.exists()

    def test_a_newer_archive_leaves_nothing_behind(
        self, here: Shell, at: Go, elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as later:
            later.setattr(tar, "FORMAT", tar.FORMAT + 1)
            here.out("export", str(tmp_path / "later.tar"), "--as", "archive")

        refused(at(elsewhere).run("import", str(tmp_path / "later.tar")), "upgrade hypnogram")

        assert not elsewhere.folder.exists()

    def test_a_file_or_a_name_that_is_none(self, at: Go, archive: Path, elsewhere: Place) -> None:
        shell = at(elsewhere)

        refused(shell.run("import", str(archive.parent / "none.tar")), "name an archive")
        refused(shell.run("import", str(archive), "--memory", "No Name"), "lower-case")

        assert not elsewhere.folder.exists()


class TestReport:
    def test_it_is_one_page_under_the_memory_s_name(
        self, here: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        out = here.out("report")

        assert out == "hypnogram-demo.html\n"
        page = (tmp_path / "hypnogram-demo.html").read_text(encoding="utf-8")
        assert "Memory demo" in page
        assert "The lineage of" in page

    def test_it_tells_of_a_fact_and_of_a_version(self, here: Shell, place: Place, tmp_path: Path) -> None:
        with open_store(place.settings()) as store:
            fact = list(state_of(store).facts)[-1]
        here.out("report", str(tmp_path / "pages" / "fact.html"), "--fact", fact)
        here.out("report", str(tmp_path / "early.html"), "--at-version", "1")

        assert f"Fact {fact}." in (tmp_path / "pages" / "fact.html").read_text(encoding="utf-8")
        early = (tmp_path / "early.html").read_text(encoding="utf-8")
        assert "Versions 1 to 1 " in early
        assert "The lineage of" not in early

    def test_it_replaces_a_file_only_by_force(self, here: Shell, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        page.write_text("mine")

        refused(here.run("report", str(page)), "--force")
        assert page.read_text() == "mine"
        here.out("report", str(page), "--force")
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")

    @pytest.mark.parametrize(
        ("more", "step"),
        [
            (("--at-version", "999"), "hypnogram log"),
            (("--memory", "nobody"), "hypnogram memory list"),
            (("--fact", "nothing"), "hypnogram fact list"),
            (("--fact", ""), "give the id of a fact"),
        ],
    )
    def test_what_is_unknown_is_refused(self, here: Shell, tmp_path: Path, more: tuple[str, str], step: str) -> None:
        refused(here.run("report", str(tmp_path / "page.html"), *more), step)

        assert not (tmp_path / "page.html").exists()

    def test_a_place_that_takes_no_file(self, here: Shell, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()

        refused(here.run("report", str(tmp_path / "folder"), "--force"), "choose another place")

        assert list(tmp_path.glob(".folder*")) == []


def refused(done: tuple[int, str, str], step: str, status: int = 1) -> None:
    """One line on standard error that names the next step."""
    found, out, err = done
    assert (found, out) == (status, ""), err
    assert len(err.splitlines()) == 1
    assert step in err
