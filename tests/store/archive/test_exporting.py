"""Archives: what goes out of one database comes into another as it was, or not at all."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from core.errors.archive import ExportExists
from core.errors.base import ArtifactMissing, Damaged, MemoryUnknown, VersionUnknown
from core.errors.history import WordsErased
from core.events import Event
from core.events.deletion import MemoryDeleted
from core.events.facts import FactAdded
from core.events.history import FactWithdrawn
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.state.memory import needed
from core.state.plan import plan
from service.app.store import open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from store.archive.exporting import EVENTS, KEYS, export_archive
from store.archive.importing import import_archive
from store.archive.tar import MANIFEST
from store.artifacts import Artifacts
from store.database.schema import events
from store.log.event_log import EventLog
from store.log.verify import verify_log
from store.state.snapshots import Snapshots
from tests.core.samples import LIFE, VIOLA
from tests.core.strategies import logs
from tests.prepared import Place, bases, small, tell, work
from tests.store.archives import archive, artifacts, history, lived, there
from tests.store.given import DEMO, OTHER, throw_key_away, told

TOLD = [event for event in LIFE if isinstance(event, FactAdded)]

__all__ = ["archive", "artifacts", "bases", "small", "there"]


def is_alive(life: list[Event]) -> bool:
    """Whether anything happened, and no memory was deleted: those have no archives."""
    return bool(life) and not any(isinstance(event, MemoryDeleted) for event in life)


class TestTheSameElsewhere:
    def test_from_any_database_into_one_that_holds_other_memories(
        self, log: EventLog, archive: Path, there: tuple[EventLog, Artifacts]
    ) -> None:
        other, folder = there
        other.append(OTHER, [told(7)], expected=0)

        arrived = import_archive(archive, other, folder)

        assert (arrived.memory, arrived.version, arrived.facts, arrived.erased) == (DEMO, len(LIFE), len(TOLD), 1)
        assert history(other) == history(log)
        assert [one.position for one in other.read(memory=DEMO)] == [number + 2 for number in range(len(LIFE))]
        assert verify_log(other, folder).fault is None
        assert fold(one.event for one in other.read(memory=DEMO)).weights == arrived.weights

    def test_from_sqlite_to_either_database_under_another_name(
        self, url: str, there: tuple[EventLog, Artifacts], artifacts: Artifacts, tmp_path: Path
    ) -> None:
        source, folder = there
        lived(source, folder)
        export_archive(tmp_path / "demo.tar", source, folder, DEMO)
        name = MemoryId("moved")
        with EventLog.open(url) as log:
            log.append(DEMO, [told(7)], expected=0)

            import_archive(tmp_path / "demo.tar", log, artifacts, name)

            assert history(log, name) == history(source)
            assert verify_log(log, artifacts).fault is None
            log.append(name, [told(9)], expected=len(LIFE))  # it goes on
            assert verify_log(log, artifacts).fault is None

    @given(life=logs().filter(is_alive), cut=st.integers(0, 10**6), erased=st.sets(st.integers(0, 5)))
    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    def test_export_after_import_is_the_archive_again(self, life: list[Event], cut: int, erased: set[int]) -> None:
        with TemporaryDirectory() as temporary, ExitStack() as stack:
            folder = Path(temporary)
            here, elsewhere = (
                stack.enter_context(EventLog.open(f"sqlite:///{folder}/{name}.db")) for name in ("here", "elsewhere")
            )
            artifacts, others = Artifacts(folder / "artifacts"), Artifacts(folder / "others")
            lived(here, artifacts, life=life)
            facts = [event.fact for event in life if isinstance(event, FactAdded)]
            version = 1 + cut % len(life)
            for index in erased & set(range(len(facts))):
                if facts[index] not in needed(fold(life[:version])):
                    throw_key_away(here, facts[index])

            left = export_archive(folder / "1.tar", here, artifacts, DEMO, version)
            arrived = import_archive(folder / "1.tar", elsewhere, others)
            again = export_archive(folder / "2.tar", elsewhere, others, DEMO)

            assert left == arrived == again
            assert (folder / "1.tar").read_bytes() == (folder / "2.tar").read_bytes()
            states = [fold(one.event for one in log.read(memory=DEMO, limit=version)) for log in (here, elsewhere)]
            assert states[0] == states[1]
            assert plan(states[0]).digest == plan(states[1]).digest

    def test_a_memory_with_weights_replays_to_them_on_the_other_side(
        self, small: Place, bases: BaseModels, url: str, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        with open_store(small.settings()) as store:
            tell(store, ("Aria Moss", "lives in", "Rome"), ("Bo Lind", "lives in", "Lima"))
            state = work(store, bases)
            left = export_archive(tmp_path / "demo.tar", store.log, store.artifacts, DEMO)
        with EventLog.open(url) as log:
            import_archive(tmp_path / "demo.tar", log, artifacts, OTHER)
            models = LiveModels(log, artifacts, Snapshots(tmp_path / "snapshots"), small.settings())

            replayed = models.replay(OTHER, None, lambda done, total, step: None, lambda: False)

        assert replayed.rebuilt == left.weights == state.weights
        assert replayed.edits_checked >= 2

    def test_a_stock_tar_reads_it(self, archive: Path, artifacts: Artifacts) -> None:
        with tarfile.open(archive) as open_store:
            names = open_store.getnames()
            lines = (open_store.extractfile(EVENTS) or io.BytesIO()).read().decode().split("\n")[:-1]

        assert names[:3] == [MANIFEST, EVENTS, KEYS]
        assert [name.removeprefix("artifacts/") for name in names[3:]] == artifacts.list()  # in order
        assert [json.loads(line)["version"] for line in lines] == list(range(1, len(LIFE) + 1))

    def test_an_erased_fact_stays_erased(self, archive: Path, there: tuple[EventLog, Artifacts]) -> None:
        assert VIOLA.object.encode() not in archive.read_bytes()
        import_archive(archive, *there)

        told = [one.event for one in there[0].read() if isinstance(one.event, FactAdded)]
        assert [event.statement.object for event in told] == [*(event.statement.object for event in TOLD[:-1]), ""]
        with tarfile.open(archive) as open_store:
            assert json.load(open_store.extractfile(KEYS) or io.BytesIO())[VIOLA.id] is None

    def test_only_its_owner_reads_it(self, archive: Path) -> None:
        assert archive.stat().st_mode & 0o077 == 0


class TestRefusedExports:
    def test_nothing_is_replaced(self, log: EventLog, archive: Path, artifacts: Artifacts) -> None:
        before = archive.read_bytes()
        with pytest.raises(ExportExists, match=r"demo\.tar"):
            export_archive(archive, log, artifacts, DEMO)
        assert archive.read_bytes() == before

    def test_a_file_that_appears_meanwhile_is_left_alone(
        self, log: EventLog, artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lived(log, artifacts)

        def get(digest: Digest) -> bytes:
            (tmp_path / "mine.tar").write_text("mine")
            return Artifacts(artifacts.folder).get(digest)

        monkeypatch.setattr(artifacts, "get", get)
        with pytest.raises(ExportExists):
            export_archive(tmp_path / "mine.tar", log, artifacts, DEMO)
        assert (tmp_path / "mine.tar").read_text() == "mine"

    def test_unknown_memories_and_versions(self, log: EventLog, artifacts: Artifacts, tmp_path: Path) -> None:
        lived(log, artifacts)
        with pytest.raises(MemoryUnknown):
            export_archive(tmp_path / "x.tar", log, artifacts, OTHER)
        for version in (0, -1, len(LIFE) + 1):
            with pytest.raises(VersionUnknown):
                export_archive(tmp_path / "x.tar", log, artifacts, DEMO, version)

    def test_a_version_that_needs_what_was_erased_since(
        self, log: EventLog, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        lived(log, artifacts)
        throw_key_away(log, VIOLA.id)
        mine = {type(event): at for at, event in enumerate(LIFE, 1) if getattr(event, "fact", "") == VIOLA.id}
        told, gone = mine[FactAdded], mine[FactWithdrawn]

        for version in range(told, gone):
            with pytest.raises(WordsErased, match=rf"{VIOLA.id}.* choose a version after it left"):
                export_archive(tmp_path / "x.tar", log, artifacts, DEMO, version)
        assert [path.name for path in tmp_path.iterdir() if "tar" in path.name] == []

        for version in (told - 1, gone):
            export_archive(tmp_path / f"{version}.tar", log, artifacts, DEMO, version)

    def test_a_missing_artifact_leaves_no_archive(self, log: EventLog, artifacts: Artifacts, tmp_path: Path) -> None:
        lived(log, artifacts)
        artifacts.path(artifacts.list()[-1]).unlink()
        with pytest.raises(ArtifactMissing):
            export_archive(tmp_path / "x.tar", log, artifacts, DEMO)
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tar"] == []

    def test_a_damaged_event_is_not_exported(self, tmp_path: Path, there: tuple[EventLog, Artifacts]) -> None:
        log, artifacts = there
        lived(log, artifacts)
        with log.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER events_refuse_update"))
            connection.execute(update(events).where(events.c.position == 3).values(actor="somebody else"))

        with pytest.raises(Damaged, match="event 3: actor"):
            export_archive(tmp_path / "x.tar", log, artifacts, DEMO)
