"""Archives that were altered, cut short, forged or are not wanted: refused, named, and nothing written."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from core.errors.archive import ArchiveDamaged, ArchiveTooNew, EventsTaken, FactTaken, MemoryTaken
from core.errors.base import EventUnknown, InvalidField
from core.errors.history import WordsErased
from core.ids import Digest, MemoryId
from store.archive import tar
from store.archive.exporting import ARTIFACTS, EVENTS, KEYS, export_archive
from store.archive.importing import import_archive
from store.archive.tar import MANIFEST, Member, pack
from store.artifacts import Artifacts
from store.database.schema import data_keys
from store.log.event_log import EventLog
from store.log.verify import verify_log
from tests.core.samples import ARIA
from tests.store.archives import archive, artifacts, lived, there
from tests.store.given import DEMO, throw_key_away, told

__all__ = ["archive", "artifacts", "there"]

FULL = """
    CREATE TRIGGER fail BEFORE INSERT ON events WHEN NEW.version = 9 BEGIN SELECT RAISE(ABORT, 'full'); END
"""


class TestRefusedImports:
    def test_any_flipped_bit_is_found(self, archive: Path, there: tuple[EventLog, Artifacts], tmp_path: Path) -> None:
        whole = archive.read_bytes()
        spoilt = tmp_path / "spoilt.tar"
        for index in range(0, len(whole), 41):
            spoilt.write_bytes(whole[:index] + bytes([whole[index] ^ 1 << index % 8]) + whole[index + 1 :])
            with pytest.raises((ArchiveDamaged, ArchiveTooNew)) as refusal:
                import_archive(spoilt, *there)
            assert refusal.value.metadata.get("member", MANIFEST) in self.members_at(archive, index)
        assert (there[0].position(), there[1].list()) == (0, [])

    @staticmethod
    def members_at(archive: Path, index: int) -> set[str]:
        with tarfile.open(archive) as open_store:
            starts = {member.name: member.offset for member in open_store.getmembers()}
            end = open_store.offset
        return {"end"} if index >= end else {max((start, name) for name, start in starts.items() if start <= index)[1]}

    def test_any_cut_is_found_and_what_follows_the_end_too(
        self, archive: Path, there: tuple[EventLog, Artifacts], tmp_path: Path
    ) -> None:
        whole = archive.read_bytes()
        spoilt = tmp_path / "spoilt.tar"
        for data in (*(whole[:size] for size in range(0, len(whole), 517)), whole[:-1], whole + b"\0"):
            spoilt.write_bytes(data)
            with pytest.raises(ArchiveDamaged):
                import_archive(spoilt, *there)
        assert there[0].position() == 0

    def test_a_later_format_is_told_from_damage(
        self,
        log: EventLog,
        artifacts: Artifacts,
        there: tuple[EventLog, Artifacts],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        lived(log, artifacts)
        with monkeypatch.context() as later:
            later.setattr(tar, "FORMAT", 2)
            export_archive(tmp_path / "later.tar", log, artifacts, DEMO)

        with pytest.raises(ArchiveTooNew, match="format 2"):
            import_archive(tmp_path / "later.tar", *there)

    def test_events_of_a_later_version_are_refused(
        self, there: tuple[EventLog, Artifacts], archive: Path, tmp_path: Path
    ) -> None:
        def later(lines: list[str]) -> list[str]:
            return [line.replace('"type":"FactInjected"', '"type":"FactDreamt"') for line in lines]

        with pytest.raises(EventUnknown, match="FactDreamt"):
            import_archive(forged(archive, tmp_path / "forged.tar", later), *there)

    @pytest.mark.parametrize(
        ("change", "member"),
        [
            (lambda lines: lines[: max(n for n, line in enumerate(lines) if '"delta":' in line)], ARTIFACTS),
            (lambda lines: [lines[1], lines[0], *lines[2:]], EVENTS),
            (lambda lines: ["{}", *lines[1:]], EVENTS),
            (lambda lines: [lines[0].replace('"actor":"tester"', '"actor":7'), *lines[1:]], EVENTS),
            (lambda lines: [lines[0].replace('"actor":"tester"', '"actor":"\\u0000"'), *lines[1:]], EVENTS),
            (lambda lines: [line.replace('"sealed":"', '"sealed":"AAAA') for line in lines], EVENTS),
        ],
    )
    def test_events_that_do_not_belong_together_are_refused(
        self,
        there: tuple[EventLog, Artifacts],
        archive: Path,
        tmp_path: Path,
        change: Callable[[list[str]], list[str]],
        member: str,
    ) -> None:
        with pytest.raises(ArchiveDamaged) as refusal:
            import_archive(forged(archive, tmp_path / "forged.tar", change), *there)
        assert refusal.value.member.startswith(member)
        assert there[0].position() == 0

    @pytest.mark.parametrize("dropped", [KEYS, "artifacts/"])
    def test_a_member_that_is_missing_is_named(
        self, there: tuple[EventLog, Artifacts], archive: Path, tmp_path: Path, dropped: str
    ) -> None:
        with pytest.raises(ArchiveDamaged, match=rf"{dropped}.* is missing"):
            import_archive(forged(archive, tmp_path / "forged.tar", lambda lines: lines, dropped), *there)

    def test_a_memory_that_needs_what_was_erased(
        self,
        log: EventLog,
        artifacts: Artifacts,
        there: tuple[EventLog, Artifacts],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        lived(log, artifacts)
        throw_key_away(log, ARIA.id)
        with monkeypatch.context() as careless:
            careless.setattr("store.archive.exporting.check_keys", lambda state, keys: None)
            export_archive(tmp_path / "dead.tar", log, artifacts, DEMO)

        with pytest.raises(WordsErased, match=ARIA.id):
            import_archive(tmp_path / "dead.tar", *there)
        assert (there[0].position(), there[1].list()) == (0, [])

    def test_a_name_that_is_taken(self, archive: Path, there: tuple[EventLog, Artifacts]) -> None:
        there[0].append(DEMO, [told(7)], expected=0)
        with pytest.raises(MemoryTaken, match="'demo'"):
            import_archive(archive, *there)
        assert (there[0].position(), there[1].list()) == (1, [])

    def test_the_same_archive_a_second_time_under_another_name(
        self, archive: Path, there: tuple[EventLog, Artifacts]
    ) -> None:
        import_archive(archive, *there)
        with pytest.raises(EventsTaken, match=r"memory 'demo'; fork"):
            import_archive(archive, *there, MemoryId("again"))
        assert there[0].memories() == [DEMO]

    def test_a_fact_that_was_erased_here_does_not_come_back(
        self, archive: Path, there: tuple[EventLog, Artifacts]
    ) -> None:
        with there[0].engine.begin() as connection:
            connection.execute(data_keys.insert(), {"fact": "fact-bo", "key": None})
        with pytest.raises(FactTaken, match=r"fact-bo.* was erased"):
            import_archive(archive, *there)
        assert there[0].position() == 0

    def test_a_fact_with_another_key_is_not_opened_with_it(
        self, archive: Path, there: tuple[EventLog, Artifacts]
    ) -> None:
        with there[0].engine.begin() as connection:
            connection.execute(data_keys.insert(), {"fact": ARIA.id, "key": bytes(32)})
        with pytest.raises(FactTaken, match=rf"{ARIA.id}.* another data key"):
            import_archive(archive, *there)

    def test_a_name_that_is_taken_meanwhile(
        self, archive: Path, there: tuple[EventLog, Artifacts], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log, folder = there

        def put(data: bytes) -> Digest:
            log.append(DEMO, [told(7)], expected=None)
            return Artifacts(folder.folder).put(data)

        monkeypatch.setattr(folder, "put", put)
        with pytest.raises(MemoryTaken):
            import_archive(archive, log, folder)
        assert {one.memory for one in log.read()} == {DEMO}
        assert verify_log(log, folder).fault is None

    def test_names_and_files_that_are_none(self, archive: Path, there: tuple[EventLog, Artifacts]) -> None:
        with pytest.raises(InvalidField, match="memory"):
            import_archive(archive, *there, MemoryId("No Name"))
        with pytest.raises(InvalidField, match="cannot be read"):
            import_archive(archive.parent / "nothing.tar", *there)
        with pytest.raises(InvalidField, match="cannot be read"):
            import_archive(archive.parent, *there)

    def test_a_failure_half_way_leaves_no_event(
        self, archive: Path, there: tuple[EventLog, Artifacts], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = there[0]
        with log.engine.begin() as connection:
            connection.execute(text(FULL))
        with pytest.raises(Exception, match="full"):
            import_archive(archive, *there)

        with log.engine.begin() as connection:
            assert connection.execute(select(func.count()).select_from(data_keys)).scalar() == 0
            connection.execute(text("DROP TRIGGER fail"))
        assert (log.position(), log.memories()) == (0, [])
        import_archive(archive, *there)  # and it can be tried again
        assert log.memories() == [DEMO]
        assert verify_log(*there).fault is None


def forged(archive: Path, path: Path, change: Callable[[list[str]], list[str]], dropped: str = "-") -> Path:
    """An archive whose digests are all right and whose content is not."""
    with tarfile.open(archive) as open_store:
        contents = {one.name: (open_store.extractfile(one) or io.BytesIO()).read() for one in open_store.getmembers()}
    manifest = json.loads(contents.pop(MANIFEST))
    contents[EVENTS] = "".join(f"{line}\n" for line in change(contents[EVENTS].decode().split("\n")[:-1])).encode()
    kept = {name: data for name, data in contents.items() if not name.startswith(dropped)}
    members = [
        Member(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data)) for name, data in kept.items()
    ]
    with path.open("wb") as file:
        about = {name: manifest[name] for name in ("memory", "version", "weights")}
        pack(file, about, members, ([data] for data in kept.values()))
    return path
