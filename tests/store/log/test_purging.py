"""What goes with a deleted memory: what it alone has, and nothing that a fork needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.errors.base import NotReady
from core.events import Event
from core.events.conversation import UserSpoke
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.facts import FactAdded
from core.events.history import MemoryForked
from core.ids import Digest, MemoryId
from store.archive import backup
from store.archive.backup import make_backup, restore_backup
from store.archive.exporting import export_archive
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.listing import Listed
from store.log.purging import doomed
from store.log.verify import named_artifacts, verify_log
from tests.core.samples import DAY, LIFE
from tests.store.archives import artifacts, lived, real
from tests.store.given import DEMO, OTHER, new, told

__all__ = ["artifacts"]

FORK = MemoryId("fork")
AT = len(DAY)
FACTS = {event.fact for event in LIFE if isinstance(event, FactAdded)}
KEYS = FACTS | {event.key for event in LIFE if isinstance(event, UserSpoke)}  # of conversations too
SHARED = {event.fact for event in DAY if isinstance(event, FactAdded)}


def deltas(artifacts: Artifacts, life: Sequence[Event] = LIFE) -> set[Digest]:
    """The artifacts that the events of `life` name, without those about the base model."""
    about_base = {digest for event in LIFE[:2] for digest in named_artifacts(real(event, artifacts))}
    return {digest for event in life for digest in named_artifacts(real(event, artifacts))} - about_base


def delete(log: EventLog, memory: MemoryId) -> None:
    log.append(memory, [new(MemoryDeleted())], expected=log.head(memory))


def purge(log: EventLog, artifacts: Artifacts, memory: MemoryId) -> None:
    alone = doomed(log, memory)
    for delta in alone.deltas:
        artifacts.remove(delta)
    receipt = MemoryPurged(keys=len(alone.keys), artifacts=alone.deltas, kept=alone.kept)
    log.append(memory, [new(receipt)], expected=log.head(memory))


def begin_anew(log: EventLog, artifacts: Artifacts, memory: MemoryId) -> None:
    """Deletes `memory`, and creates another one of its name."""
    delete(log, memory)
    purge(log, artifacts, memory)
    log.append(memory, [new(real(LIFE[0], artifacts))], expected=log.head(memory))


def fork(log: EventLog, memory: MemoryId, version: int) -> None:
    (last,) = log.read(memory=DEMO, after_version=version - 1, limit=1)
    forked = MemoryForked(parent=DEMO, version=version, hash=last.hash, weights=None)
    log.append(memory, [new(forked)], expected=0)


@pytest.fixture
def life(log: EventLog, artifacts: Artifacts) -> EventLog:
    lived(log, artifacts)
    return log


def test_all_of_a_memory_goes_that_no_other_one_shares(life: EventLog, artifacts: Artifacts) -> None:
    delete(life, DEMO)

    alone = doomed(life, DEMO)

    assert set(alone.keys) == KEYS
    assert set(alone.deltas) == deltas(artifacts)
    assert alone.kept == 0


def test_a_fork_keeps_what_it_shares_and_loses_it_with_the_last_that_does(life: EventLog, artifacts: Artifacts) -> None:
    fork(life, FORK, AT)
    life.append(FORK, [own := told(7)], expected=AT + 1)
    assert isinstance(own.event, FactAdded)
    delete(life, DEMO)

    alone = doomed(life, DEMO)
    assert set(alone.keys) == KEYS - SHARED
    assert alone.kept == len(SHARED) > 0
    assert set(alone.deltas) == deltas(artifacts) - deltas(artifacts, DAY)
    purge(life, artifacts, DEMO)
    assert verify_log(life, artifacts).fault is None

    delete(life, FORK)
    assert set(doomed(life, FORK).keys) == SHARED | {own.event.fact}


def test_a_fork_that_is_deleted_leaves_its_parent_whole(life: EventLog, artifacts: Artifacts) -> None:
    fork(life, FORK, AT)
    life.append(FORK, [own := told(7)], expected=AT + 1)
    assert isinstance(own.event, FactAdded)
    delete(life, FORK)

    assert doomed(life, FORK).keys == (own.event.fact,)
    assert doomed(life, FORK).deltas == ()


def test_an_unrelated_memory_that_names_the_same_delta_keeps_it(life: EventLog, artifacts: Artifacts) -> None:
    lived(life, artifacts, OTHER)
    delete(life, DEMO)

    assert doomed(life, DEMO).deltas == ()


def test_a_purged_memory_is_listed_no_more_and_a_new_one_of_its_name_is(life: EventLog, artifacts: Artifacts) -> None:
    delete(life, DEMO)
    assert life.listed() == [Listed(DEMO, len(LIFE) + 1, life.position(), deleted=True)]
    purge(life, artifacts, DEMO)
    assert (life.memories(), life.begun(DEMO)) == ([], len(LIFE) + 2)

    life.append(DEMO, [new(real(LIFE[0], artifacts))], expected=len(LIFE) + 2)

    assert life.listed() == [Listed(DEMO, len(LIFE) + 3, life.position(), deleted=False)]
    assert verify_log(life, artifacts).fault is None


def test_what_a_deleted_memory_shared_goes_with_its_fork_though_its_name_is_used_again(
    life: EventLog, artifacts: Artifacts
) -> None:
    fork(life, FORK, AT)
    begin_anew(life, artifacts, DEMO)
    delete(life, FORK)

    assert set(doomed(life, FORK).keys) == SHARED


def test_a_missing_artifact_is_a_fault_unless_a_purge_says_so(life: EventLog, artifacts: Artifacts) -> None:
    lost = min(deltas(artifacts))
    artifacts.remove(lost)
    fault = verify_log(life, artifacts).fault
    assert fault is not None
    assert fault.what == "artifact"
    assert lost in fault.message

    delete(life, DEMO)
    purge(life, artifacts, DEMO)
    assert verify_log(life, artifacts).fault is None


def test_purging_again_finds_the_same(life: EventLog, artifacts: Artifacts) -> None:
    delete(life, DEMO)
    before = doomed(life, DEMO)
    for delta in before.deltas[:1]:
        artifacts.remove(delta)

    assert doomed(life, DEMO) == before


def test_only_the_life_that_ended_last_goes(life: EventLog, artifacts: Artifacts) -> None:
    delete(life, DEMO)
    purge(life, artifacts, DEMO)
    own = told(7)
    life.append(DEMO, [new(real(LIFE[0], artifacts)), own], expected=life.head(DEMO))
    delete(life, DEMO)

    assert isinstance(own.event, FactAdded)
    assert doomed(life, DEMO).keys == (own.event.fact,)
    assert (doomed(life, DEMO).deltas, doomed(life, DEMO).kept) == ((), 0)


def test_a_memory_with_the_name_of_a_fork_that_was_deleted_keeps_nothing_of_the_parent(
    life: EventLog, artifacts: Artifacts
) -> None:
    fork(life, FORK, AT)
    begin_anew(life, artifacts, FORK)
    delete(life, DEMO)

    assert set(doomed(life, DEMO).keys) == KEYS


def test_a_fork_of_a_later_memory_of_the_name_keeps_nothing_of_the_earlier_one(
    life: EventLog, artifacts: Artifacts
) -> None:
    fork(life, FORK, AT)
    begin_anew(life, artifacts, DEMO)
    fork(life, OTHER, life.head(DEMO))
    delete(life, FORK)

    assert set(doomed(life, FORK).keys) == SHARED


def test_a_memory_is_purged_however_many_others_there_are(life: EventLog, artifacts: Artifacts) -> None:
    created = real(LIFE[0], artifacts)
    for number in range(1100):  # more than SQLite takes as terms of one expression
        life.append(MemoryId(f"other-{number}"), [new(created)], expected=0)
    delete(life, DEMO)

    assert set(doomed(life, DEMO).keys) == KEYS


def test_a_purge_under_way_is_no_fault_and_goes_into_a_backup_as_it_is(
    life: EventLog, artifacts: Artifacts, tmp_path: Path
) -> None:
    delete(life, DEMO)
    for delta in doomed(life, DEMO).deltas[:1]:
        artifacts.remove(delta)

    assert verify_log(life, artifacts).fault is None
    if life.engine.dialect.name == "sqlite":
        make_backup(tmp_path / "backup.tar", life, artifacts)
        restored = tmp_path / "restored"
        restore_backup(tmp_path / "backup.tar", f"sqlite:///{restored}/log.db", restored / "artifacts")
        with EventLog.open(f"sqlite:///{restored}/log.db") as log:
            assert doomed(log, DEMO) == doomed(life, DEMO)


def test_what_a_purge_removed_after_the_log_was_copied_is_no_damage(
    life: EventLog, artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if life.engine.dialect.name != "sqlite":
        pytest.skip("backups are SQLite's")
    copy = backup._copy

    def copied_and_purged(engine: Engine, database: Path) -> None:
        copy(engine, database)
        delete(life, DEMO)
        purge(life, artifacts, DEMO)

    monkeypatch.setattr(backup, "_copy", copied_and_purged)

    with pytest.raises(NotReady, match="make the backup again"):
        make_backup(tmp_path / "backup.tar", life, artifacts)


def test_an_archive_of_a_new_memory_opens_no_words_of_the_deleted_one(
    life: EventLog, artifacts: Artifacts, tmp_path: Path
) -> None:
    fork(life, FORK, AT)
    delete(life, DEMO)
    purge(life, artifacts, DEMO)
    life.append(DEMO, [new(real(LIFE[0], artifacts)), told(7)], expected=life.head(DEMO))

    archived = export_archive(tmp_path / "demo.tar", life, artifacts, DEMO)

    assert archived.facts - archived.erased == 1
