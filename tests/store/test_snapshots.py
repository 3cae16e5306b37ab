"""Snapshots only ever save time: whatever becomes of them, the state is that of the log."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import MemoryUnknown, VersionUnknown
from core.events import Event
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.memory import Status
from core.work import next_work
from store import folding, snapshots
from store.clock import next_uuid
from store.folding import state
from store.log import EventLog
from store.snapshots import KEEP, Snapshots
from tests.core.samples import LIFE
from tests.core.strategies import logs
from tests.store.given import DEMO, OTHER, new, told

HASH = Digest("1" * 64)


@pytest.fixture
def cache(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "snapshots")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/log.db") as opened:
        yield opened


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "EVERY", 2)
    monkeypatch.setattr(folding, "PAGE", 3)


@pytest.mark.usefixtures("often")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=logs(), cuts=st.lists(st.integers(1, 40), max_size=4))
def test_folding_from_a_snapshot_equals_folding_from_nothing(
    log: EventLog, cache: Snapshots, events: list[Event], cuts: list[int]
) -> None:
    memory = MemoryId(f"m-{next_uuid()}")
    log.append(memory, [new(event) for event in events], expected=0)

    for version in [*(cut for cut in cuts if cut <= len(events)), *([len(events)] if events else [])]:
        folded, from_nothing = state(log, cache, memory, version), fold(events[:version])
        assert folded == from_nothing
        assert list(folded.facts) == list(from_nothing.facts)
        assert list(folded.pending) == list(from_nothing.pending)
        assert {type(one.status) for one in folded.facts.values()} <= {Status}


def test_a_saved_state_is_loaded_as_it_was(cache: Snapshots) -> None:
    cache.save(DEMO, fold(LIFE), HASH, 0)

    assert cache.load(DEMO, len(LIFE), 0) == (fold(LIFE), HASH)
    assert cache.load(DEMO, len(LIFE) - 1, 0) is None
    assert cache.load(OTHER, len(LIFE), 0) is None


@pytest.mark.parametrize("version", range(1, len(LIFE) + 1))
def test_every_state_of_a_life_is_loaded_as_it_was_asleep_or_awake(cache: Snapshots, version: int) -> None:
    before = fold(LIFE[:version])
    cache.save(DEMO, before, HASH, 0)

    loaded = cache.load(DEMO, version, 0)
    assert loaded is not None
    after = loaded[0]
    assert after == before
    assert fold(LIFE[version:], onto=after) == fold(LIFE)
    if before.sleep is not None and after.sleep is not None:
        assert list(after.sleep.verdicts) == list(before.sleep.verdicts)
        assert next_work(after) == next_work(before)


def test_the_newest_that_is_old_enough_is_loaded(cache: Snapshots) -> None:
    for version in (1, 2, 4):
        cache.save(DEMO, fold(LIFE[:version]), HASH, 0)

    found = cache.load(DEMO, 3, 0)
    assert found
    assert found[0].version == 2


def test_only_the_newest_are_kept(cache: Snapshots) -> None:
    for version in range(1, KEEP + 4):
        cache.save(DEMO, fold(new(LIFE[1]).event for _ in range(version)), HASH, 0)

    assert len(list((cache.folder / DEMO).iterdir())) == KEEP
    assert cache.load(DEMO, 3, 0) is None


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
    cache.save(DEMO, fold(LIFE), HASH, 0)
    path = cache.folder / DEMO / f"{len(LIFE)}.json"
    spoil(path, monkeypatch)

    assert cache.load(DEMO, len(LIFE), 0) is None
    assert not path.exists()


def test_a_snapshot_from_before_an_erasure_is_ignored_and_removed(cache: Snapshots) -> None:
    for version, erased in ((2, 1), (3, 0), (4, 0)):
        cache.save(DEMO, fold(LIFE[:version]), HASH, erased)

    found = cache.load(DEMO, len(LIFE), 1)

    assert found
    assert found[0].version == 2
    assert [path.name for path in (cache.folder / DEMO).iterdir()] == ["2.json"]


def test_a_snapshot_that_does_not_say_how_many_were_erased_is_ignored_and_removed(cache: Snapshots) -> None:
    cache.save(DEMO, fold(LIFE), HASH, 0)
    path = cache.folder / DEMO / f"{len(LIFE)}.json"
    value = json.loads(path.read_text().split("\n", 1)[1])
    del value["erased"]  # as version 0.1 wrote them
    body = json.dumps(value)
    path.write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")

    assert cache.load(DEMO, len(LIFE), 0) is None
    assert not path.exists()


def test_a_snapshot_of_another_log_is_ignored_and_removed(log: EventLog, cache: Snapshots) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    cache.save(DEMO, fold([told().event] * 3), HASH, 0)

    assert state(log, cache, DEMO) == fold(LIFE)
    assert not (cache.folder / DEMO / "3.json").exists()


@pytest.mark.usefixtures("often")
def test_a_snapshot_that_fits_is_used(log: EventLog, cache: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    state(log, cache, DEMO)
    monkeypatch.setattr(folding, "fold", pytest.fail)

    assert state(log, cache, DEMO) == fold(LIFE)


@pytest.mark.usefixtures("often")
def test_a_snapshot_is_json(log: EventLog, cache: Snapshots) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)
    state(log, cache, DEMO)

    text = (cache.folder / DEMO / f"{len(LIFE)}.json").read_text().split("\n", 1)[1]
    assert json.loads(text)["state"]["version"] == len(LIFE)


def test_a_memory_that_is_not_there_is_named(log: EventLog, cache: Snapshots) -> None:
    with pytest.raises(MemoryUnknown, match="demo"):
        state(log, cache, DEMO)


@pytest.mark.parametrize("version", [-1, 0, len(LIFE) + 1])
def test_a_version_a_memory_never_had_is_named(log: EventLog, cache: Snapshots, version: int) -> None:
    log.append(DEMO, [new(event) for event in LIFE], expected=0)

    with pytest.raises(VersionUnknown, match=rf"1\.\.{len(LIFE)}"):
        state(log, cache, DEMO, version)
