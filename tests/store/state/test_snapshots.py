"""Snapshots only ever save time: whatever becomes of them, the state is that of the log."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors.base import MemoryUnknown, VersionUnknown
from core.events import Event
from core.evolve import evolve, fold
from core.ids import Digest, FactId, MemoryId
from core.state.memory import Status
from core.state.work import next_work
from store.clock import next_uuid
from store.log import event_log
from store.log.event_log import EventLog
from store.state import loading, snapshots
from store.state.loading import load_state
from store.state.snapshots import KEEP, SUFFIX, Keys, Snapshots
from tests.core.samples import LIFE
from tests.core.strategies import logs
from tests.store.given import DEMO, OTHER, new, told

HASH = Digest("1" * 64)


@pytest.fixture
def cache(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as open_store:
        yield open_store


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "EVERY", 2)
    monkeypatch.setattr(event_log, "PAGE", 3)


@pytest.mark.usefixtures("often")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=logs(), cuts=st.lists(st.integers(1, 40), max_size=4))
def test_folding_from_a_snapshot_equals_folding_from_nothing(
    log: EventLog, cache: Snapshots, events: list[Event], cuts: list[int]
) -> None:
    memory = MemoryId(f"m-{next_uuid()}")
    log.append(memory, [new(event) for event in events], expected=0)

    for version in [*(cut for cut in cuts if cut <= len(events)), *([len(events)] if events else [])]:
        folded, from_nothing = load_state(log, cache, memory, version), fold(events[:version])
        assert folded == from_nothing
        assert list(folded.facts) == list(from_nothing.facts)
        assert list(folded.pending) == list(from_nothing.pending)
        assert {type(one.status) for one in folded.facts.values()} <= {Status}


def all_there(facts: Iterable[FactId]) -> dict[FactId, bytes | None]:
    """A data key for every fact."""
    return {fact: hashlib.sha256(fact.encode()).digest() for fact in facts}


def all_but(gone: FactId) -> Keys:
    """The same after one of them was thrown away."""
    return lambda facts: {fact: key if fact != gone else None for fact, key in all_there(facts).items()}


def test_a_saved_state_is_loaded_as_it_was(cache: Snapshots) -> None:
    cache.save(DEMO, fold(LIFE), HASH, all_there)

    assert cache.load(DEMO, len(LIFE), all_there) == (fold(LIFE), HASH)
    assert cache.load(DEMO, len(LIFE) - 1, all_there) is None
    assert cache.load(OTHER, len(LIFE), all_there) is None


@pytest.mark.parametrize("version", range(1, len(LIFE) + 1))
def test_every_state_of_a_life_is_loaded_as_it_was_asleep_or_awake(cache: Snapshots, version: int) -> None:
    before = fold(LIFE[:version])
    cache.save(DEMO, before, HASH, all_there)

    loaded = cache.load(DEMO, version, all_there)
    assert loaded is not None
    after = loaded[0]
    assert after == before
    assert fold(LIFE[version:], onto=after) == fold(LIFE)
    if before.sleep is not None and after.sleep is not None:
        assert list(after.sleep.verdicts) == list(before.sleep.verdicts)
        assert next_work(after) == next_work(before)


def test_the_newest_that_is_old_enough_is_loaded(cache: Snapshots) -> None:
    for version in (1, 2, 4):
        cache.save(DEMO, fold(LIFE[:version]), HASH, all_there)

    found = cache.load(DEMO, 3, all_there)
    assert found
    assert found[0].version == 2


def test_only_the_newest_are_kept(cache: Snapshots) -> None:
    for version in range(1, KEEP + 4):
        cache.save(DEMO, fold(new(LIFE[1]).event for _ in range(version)), HASH, all_there)

    assert len(list((cache.folder / DEMO).iterdir())) == KEEP
    assert cache.load(DEMO, 3, all_there) is None


def _other_code(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "code_digest", lambda: "another")


def _flip(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _empty(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"")


def _binary(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"\xff\xfe\n\x00")


@pytest.mark.parametrize("spoil", [_other_code, _flip, _truncate, _empty, _binary])
def test_an_unusable_snapshot_is_ignored_and_removed(
    cache: Snapshots, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    cache.save(DEMO, fold(LIFE), HASH, all_there)
    path = cache.folder / DEMO / f"{len(LIFE)}{SUFFIX}"
    spoil(path, monkeypatch)

    assert cache.load(DEMO, len(LIFE), all_there) is None
    assert not path.exists()


def test_a_snapshot_with_words_whose_key_was_thrown_away_is_ignored_and_removed(cache: Snapshots) -> None:
    first = fold([told().event])
    second = evolve(first, told(1).event)
    for state_then in (first, second):
        cache.save(DEMO, state_then, HASH, all_there)
    (gone,) = set(second.facts) - set(first.facts)

    assert cache.load(DEMO, 2, all_but(gone)) == (first, HASH)
    assert [path.name for path in (cache.folder / DEMO).iterdir()] == [f"1{SUFFIX}"]


def test_no_snapshot_holds_words_in_clear(cache: Snapshots) -> None:
    there = fold([told(number).event for number in range(3)])
    cache.save(DEMO, there, HASH, all_there)

    (content,) = (path.read_bytes() for path in (cache.folder / DEMO).iterdir())
    words = [word for one in there.facts.values() for word in (one.fact.subject, one.fact.object, one.fact.relation)]
    secrets = [*words, *(word.casefold() for word in words), *(one.digest for one in there.requests.values())]
    assert [secret for secret in secrets if secret.encode() in content] == []


def test_words_whose_key_was_thrown_away_while_they_were_read_are_not_kept(cache: Snapshots) -> None:
    there = fold([told().event])
    (gone,) = there.facts
    cache.save(DEMO, there, HASH, all_but(gone))

    assert not (cache.folder / DEMO).exists()


def test_a_snapshot_of_another_memory_or_version_is_not_taken_for_its_own(cache: Snapshots) -> None:
    cache.save(DEMO, fold(LIFE), HASH, all_there)
    saved = cache.folder / DEMO / f"{len(LIFE)}{SUFFIX}"
    (cache.folder / OTHER).mkdir()
    shutil.copy(saved, cache.folder / OTHER)
    saved.rename(cache.folder / DEMO / f"{len(LIFE) + 1}{SUFFIX}")

    assert cache.load(OTHER, len(LIFE), all_there) is None
    assert cache.load(DEMO, len(LIFE) + 1, all_there) is None


def test_what_older_versions_kept_in_clear_is_removed_and_nothing_else(cache: Snapshots) -> None:
    (cache.folder / DEMO).mkdir(parents=True)
    for name in ("12.json", "notes.json", "9.txt"):
        (cache.folder / DEMO / name).write_text("Aria lives in Lisbon")
    cache.save(DEMO, fold(LIFE), HASH, all_there)

    cache.remove_unsealed()
    assert {path.name for path in (cache.folder / DEMO).iterdir()} == {"notes.json", "9.txt", f"{len(LIFE)}{SUFFIX}"}


def _a_file(folder: Path) -> None:
    folder.write_text("not a folder")


def _a_file_instead_of_a_memory(folder: Path) -> None:
    folder.mkdir()
    (folder / DEMO).write_text("not a folder")


def _a_folder_instead_of_a_snapshot(folder: Path) -> None:
    (folder / DEMO / f"{len(LIFE)}{SUFFIX}" / "in the way").mkdir(parents=True)


def _a_link_in_a_circle(folder: Path) -> None:
    folder.symlink_to(folder)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    "spoil", [_a_file, _a_file_instead_of_a_memory, _a_folder_instead_of_a_snapshot, _a_link_in_a_circle]
)
def test_a_folder_that_cannot_be_used_costs_the_snapshots_alone(
    log: EventLog, cache: Snapshots, spoil: Callable[[Path], None]
) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    spoil(cache.folder)

    for _ in range(2):
        assert load_state(log, cache, DEMO) == fold(LIFE)
    cache.remove_unsealed()
    cache.remove_all(DEMO)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["mkstemp", "os.fsync", "os.replace"])
def test_a_disk_that_fails_costs_the_snapshots_alone(
    log: EventLog, cache: Snapshots, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"store.artifacts.{call}", fail)
    assert load_state(log, cache, DEMO) == fold(LIFE)
    assert list((cache.folder / DEMO).iterdir()) == []  # nothing half written


def test_a_snapshot_of_another_log_is_ignored_and_removed(log: EventLog, cache: Snapshots) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    cache.save(DEMO, fold([told().event] * 3), HASH, all_there)

    assert load_state(log, cache, DEMO) == fold(LIFE)
    assert not (cache.folder / DEMO / f"3{SUFFIX}").exists()


@pytest.mark.usefixtures("often")
def test_a_snapshot_that_fits_is_used(log: EventLog, cache: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    load_state(log, cache, DEMO)
    monkeypatch.setattr(loading, "fold", pytest.fail)

    assert load_state(log, cache, DEMO) == fold(LIFE)


def test_a_memory_that_is_not_there_is_named(log: EventLog, cache: Snapshots) -> None:
    with pytest.raises(MemoryUnknown, match="demo"):
        load_state(log, cache, DEMO)


@pytest.mark.parametrize("version", [-1, 0, len(LIFE) + 1])
def test_a_version_a_memory_never_had_is_named(log: EventLog, cache: Snapshots, version: int) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)

    with pytest.raises(VersionUnknown, match=rf"1\.\.{len(LIFE)}"):
        load_state(log, cache, DEMO, version)
