"""Forks in the log: they share what came before, and neither side sees what the other does after that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.decide.commands import ForkMemory
from core.errors.base import Conflict, VersionUnknown
from core.events import Event
from core.events.history import FactRetracted, FactWithdrawn, MemoryForked
from core.evolve import fold
from core.ids import Digest, MemoryId
from core.state.memory import Memory
from core.state.plan import plan
from service.app.repository import MemoryRepository
from store.archive.exporting import export_archive
from store.archive.importing import import_archive
from store.artifacts import Artifacts
from store.clock import next_uuid
from store.log.event_log import EventLog
from store.log.verify import verify_log
from store.state import loading
from store.state.loading import load_state
from store.state.snapshots import Snapshots
from tests.core.samples import ARIA, CLEAN, DAY
from tests.core.strategies import logs
from tests.store.archives import artifacts, history, lived, real, there
from tests.store.given import CAUSE, DEMO, OTHER, append_raw, new, throw_key_away, told

__all__ = ["artifacts", "there"]

FORK, NESTED = MemoryId("fork"), MemoryId("nested")
AT = len(DAY)


def forked(log: EventLog, parent: MemoryId, version: int) -> MemoryForked:
    (last,) = log.read(memory=parent, after_version=version - 1, limit=1)
    return MemoryForked(parent=parent, version=version, hash=last.hash, weights=None)


def fork(log: EventLog, memory: MemoryId, parent: MemoryId, version: int) -> None:
    log.append(memory, [new(forked(log, parent, version))], expected=0)


def told_of(log: EventLog, memory: MemoryId) -> list[Event]:
    return [one.event for one in log.read(memory=memory)]


@pytest.fixture
def both(log: EventLog, artifacts: Artifacts) -> EventLog:
    """A memory that was forked in the morning, both sides of which went on; and a fork of the fork's own part."""
    lived(log, artifacts, life=DAY)
    fork(log, FORK, DEMO, AT)
    log.append(DEMO, [told(1)], expected=AT)
    log.append(FORK, [told(2), told(3)], expected=AT + 1)
    log.append(DEMO, [told(4)], expected=AT + 1)
    fork(log, NESTED, FORK, AT + 2)
    log.append(NESTED, [told(5)], expected=AT + 3)
    return log


class TestReading:
    def test_a_fork_begins_one_version_above_its_parent_and_copies_nothing(self, both: EventLog) -> None:
        shared = both.read(memory=DEMO)[:AT]
        own = [one for one in both.read() if one.memory == FORK]

        assert both.read(memory=FORK) == [*shared, *own]
        assert [one.version for one in own] == [AT + 1, AT + 2, AT + 3]
        assert both.position() == AT + 7

    def test_a_fork_of_a_fork_has_what_all_three_wrote_in_order(self, both: EventLog) -> None:
        found = both.read(memory=NESTED)

        assert [one.version for one in found] == list(range(1, AT + 5))
        assert [one.memory for one in found] == [DEMO] * AT + [FORK] * 2 + [NESTED] * 2
        assert [one.position for one in found] == sorted(one.position for one in found)

    def test_a_fork_of_a_fork_before_that_one_began_is_one_of_its_parent(self, both: EventLog) -> None:
        early = MemoryId("early")
        fork(both, early, FORK, 3)

        assert [one.memory for one in both.read(memory=early)] == [DEMO] * 3 + [early]

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    def test_pages_of_a_fork_follow_each_other_without_a_gap(self, both: EventLog, limit: int) -> None:
        pages, after = [], 0
        while page := both.read(memory=NESTED, after_version=after, limit=limit):
            assert len(page) <= limit
            pages += page
            after = page[-1].version

        assert pages == both.read(memory=NESTED)

    def test_reading_from_a_position_on(self, both: EventLog) -> None:
        found = both.read(memory=NESTED, after_position=AT - 1)

        assert [one.version for one in found] == [AT, AT + 1, AT + 2, AT + 3, AT + 4]
        assert both.read(memory=NESTED, after_position=AT - 1, limit=2) == found[:2]

    def test_heads_and_names(self, both: EventLog) -> None:
        assert both.memories() == [DEMO, FORK, NESTED]
        assert [both.head(name) for name in (DEMO, FORK, NESTED)] == [AT + 2, AT + 3, AT + 4]

    def test_relatives_are_those_that_share_events(self, both: EventLog) -> None:
        both.append(OTHER, [told(6)], expected=0)

        assert both.relatives(DEMO) == [FORK, NESTED]
        assert both.relatives(NESTED) == [DEMO, FORK]
        assert both.relatives(OTHER) == []

    def test_a_log_opened_again_reads_the_same(self, both: EventLog, url: str) -> None:
        with EventLog.open(url) as again:
            assert again.read(memory=NESTED) == both.read(memory=NESTED)
            again.append(NESTED, [told(7)], expected=AT + 4)


class TestAppending:
    def test_both_sides_go_on_by_themselves(self, both: EventLog) -> None:
        before = {name: told_of(both, name) for name in (DEMO, FORK, NESTED)}

        both.append(FORK, [told(7)], expected=AT + 3)

        assert told_of(both, DEMO) == before[DEMO]
        assert told_of(both, NESTED) == before[NESTED]
        assert told_of(both, FORK)[:-1] == before[FORK]

    def test_a_fork_and_what_follows_it_are_one_append(self, log: EventLog, artifacts: Artifacts) -> None:
        lived(log, artifacts, life=DAY)
        events = [new(forked(log, DEMO, 2)), told(1)]

        recorded = log.append(FORK, events, expected=0)

        assert [one.version for one in recorded] == [3, 4]
        assert log.append(FORK, events, expected=0) == recorded  # a retry

    def test_a_name_that_is_taken_is_a_conflict(self, both: EventLog) -> None:
        with pytest.raises(Conflict):
            fork(both, FORK, DEMO, 2)
        assert both.head(FORK) == AT + 3

    def test_a_command_answers_with_the_state_of_the_parent(
        self, log: EventLog, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        lived(log, artifacts, life=DAY)
        states = MemoryRepository(log, Snapshots(tmp_path / "snapshots"))
        at = states.at(DEMO, AT)
        hash_ = log.read(memory=DEMO)[AT - 1].hash

        after = states.execute(
            FORK,
            lambda _: ForkMemory(memory=FORK, parent=DEMO, at=at, hash=hash_, whole=(at.version, at.version)),
            CAUSE,
        )

        assert (after.version, after.facts, after.weights) == (AT + 1, at.facts, at.weights)
        assert states.current(FORK) == after == fold(told_of(log, FORK))


class TestFolding:
    def test_a_fork_is_what_its_parent_was(self, both: EventLog, tmp_path: Path) -> None:
        cache = Snapshots(tmp_path / "snapshots")

        assert load_state(both, cache, FORK, AT) == load_state(both, cache, DEMO, AT)
        assert load_state(both, cache, FORK) == fold(told_of(both, FORK))
        with pytest.raises(VersionUnknown):
            load_state(both, cache, FORK, AT + 4)

    def test_it_begins_with_the_snapshots_of_its_parent(
        self, both: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "EVERY", 2)
        cache = Snapshots(tmp_path / "snapshots")
        load_state(both, cache, DEMO, AT)
        load_state(both, cache, DEMO)  # a snapshot that no fork has a use for
        folded: list[Event] = []

        def counted(events: Iterable[Event], onto: Memory) -> Memory:
            folded.extend(new := list(events))
            return fold(new, onto)

        monkeypatch.setattr(loading, "fold", counted)

        assert load_state(both, cache, NESTED) == fold(told_of(both, NESTED))
        assert len(folded) == 4


class TestTimes:
    def test_the_version_of_a_time_is_the_newest_recorded_by_then(self, both: EventLog) -> None:
        recorded = both.read(memory=NESTED)
        for one in (recorded[0], recorded[AT - 1], recorded[AT + 1], recorded[-1]):
            last = max(other.version for other in recorded if other.recorded_at <= one.recorded_at)
            assert both.version_at(NESTED, one.recorded_at) == last

    def test_before_the_first_event_it_is_none(self, both: EventLog) -> None:
        assert both.version_at(NESTED, "2001-01-01T00:00:00.000000Z") == 0
        assert both.version_at(MemoryId("nobody"), "2999-01-01T00:00:00.000000Z") == 0


class TestVerifying:
    def test_a_log_with_forks_is_sound(self, both: EventLog, artifacts: Artifacts) -> None:
        assert verify_log(both, artifacts).fault is None

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"hash": Digest("0" * 64)}, "fork"),
            ({"parent": OTHER}, "fork"),
            ({"version": AT - 1}, "fork"),
            ({"version": AT + 7}, "fork"),
        ],
    )
    def test_a_fork_of_what_never_was_is_found(
        self, log: EventLog, artifacts: Artifacts, change: dict[str, object], what: str
    ) -> None:
        lived(log, artifacts, life=DAY)
        said = MemoryForked(**{"parent": DEMO, "version": AT, "hash": log.read()[-1].hash, "weights": None} | change)  # type: ignore[arg-type]
        log.append(FORK, [new(said)], expected=0)

        fault = verify_log(log, artifacts).fault

        assert fault
        assert (fault.position, fault.what) == (AT + 1, what)

    def test_a_memory_that_begins_late_and_is_no_fork_is_found(self, log: EventLog, artifacts: Artifacts) -> None:
        append_raw(log, version=3)

        fault = verify_log(log, artifacts).fault

        assert fault
        assert (fault.position, fault.what) == (1, "version")


class TestArchives:
    @pytest.mark.parametrize("memory", [FORK, NESTED])
    def test_a_fork_goes_out_whole_and_comes_back_as_a_memory_of_its_own(
        self, both: EventLog, artifacts: Artifacts, there: tuple[EventLog, Artifacts], tmp_path: Path, memory: MemoryId
    ) -> None:
        taken_back = FactRetracted(fact=ARIA.id, reason="", erase=True, request="back", request_digest=Digest("1" * 64))
        withdrawn = FactWithdrawn(
            fact=ARIA.id,
            edit=None,
            adapters=(),
            weights_before=CLEAN,
            weights_after=CLEAN,
            key_occupancy=0.0,
            seconds=0.5,
        )
        both.append(memory, [new(taken_back), new(withdrawn)], expected=both.head(memory))
        throw_key_away(both, ARIA.id)
        left = export_archive(tmp_path / "fork.tar", both, artifacts, memory)
        other, folder = there

        arrived = import_archive(tmp_path / "fork.tar", *there)

        assert (arrived, arrived.version) == (left, both.head(memory))
        assert history(other, memory) == history(both, memory)
        assert {one.memory for one in other.read()} == {memory}
        states = [fold(told_of(log, memory)) for log in (both, other)]
        assert states[0] == states[1]
        assert plan(states[0]).digest == plan(states[1]).digest
        assert verify_log(other, folder).fault is None

        again = export_archive(tmp_path / "again.tar", other, folder, memory)
        assert again == left
        assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "fork.tar").read_bytes()

    def test_one_that_came_back_is_forked_like_any_other(
        self, both: EventLog, artifacts: Artifacts, there: tuple[EventLog, Artifacts], tmp_path: Path
    ) -> None:
        export_archive(tmp_path / "fork.tar", both, artifacts, FORK)
        other, folder = there
        import_archive(tmp_path / "fork.tar", *there)

        fork(other, NESTED, FORK, AT + 1)

        assert told_of(other, NESTED)[:-1] == told_of(both, FORK)[: AT + 1]
        assert verify_log(other, folder).fault is None

    def test_an_old_version_of_a_fork(self, both: EventLog, artifacts: Artifacts, tmp_path: Path) -> None:
        fork_then = export_archive(tmp_path / "fork.tar", both, artifacts, NESTED, 3)
        parent_then = export_archive(tmp_path / "demo.tar", both, artifacts, DEMO, 3)

        assert (fork_then.version, fork_then.weights) == (parent_then.version, parent_then.weights)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(life=logs().filter(bool), more=st.integers(0, 5), cut=st.integers(0, 10**6))
def test_whatever_a_memory_lived_through_its_fork_folds_to_the_same(
    tmp_path: Path, life: list[Event], more: int, cut: int
) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/{next_uuid()}.db") as log:
        artifacts, version = Artifacts(tmp_path / "artifacts"), 1 + cut % len(life)
        log.append(DEMO, [new(real(event, artifacts)) for event in life], expected=0)
        fork(log, FORK, DEMO, version)
        log.append(FORK, [told(number) for number in range(more)], expected=version + 1)
        log.append(DEMO, [told(7)], expected=len(life))

        assert fold(told_of(log, FORK)[:version]) == fold(told_of(log, DEMO)[:version])
        assert len(told_of(log, FORK)) == version + 1 + more
        assert verify_log(log, artifacts).fault is None
