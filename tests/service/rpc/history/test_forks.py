"""Forks and restores, over the wire, on a memory of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypnogram.v1 import facts_pb2
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from core.events.appends import whole_around
from core.ids import MemoryId
from core.moments import Moment
from core.state.memory import Status
from core.state.plan import plan
from hypnogram.client import CallFailed, new_fact
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from store.archive.exporting import export_archive
from store.archive.importing import import_archive
from tests.prepared import Place, made_in, put_in_place, start_sleep, state_of, tell, work
from tests.service.conftest import DEMO, Running, run_server

TRIAL = MemoryId("trial")
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, bases: BaseModels) -> Place:
    """A memory of two facts and a checkpoint after the first. To be copied, not changed."""
    place = made_in(tmp_path_factory.mktemp("lived"))
    with run_server(place.settings()) as running:
        work(running.store, bases)
        tell(running.store, ("Aria Moss", "lives in", "Rome"))
        work(running.store, bases)
        running.client.mark(DEMO, "monday")
        tell(running.store, ("Bo Lind", "lives in", "Lima"))
        work(running.store, bases)
    return place


@pytest.fixture
def served(lived: Place, bases: BaseModels, tmp_path: Path) -> Iterator[Running]:
    """A server with a copy of that memory; no executor runs."""
    with serving_at(lived.copy(tmp_path / "served"), bases) as running:
        yield running


def serving_at(place: Place, bases: BaseModels) -> AbstractContextManager[Running]:
    """A server with the models of random weights that the memory of a place is on."""

    def models(store: Store) -> LiveModels:
        found = LiveModels(store.log, store.artifacts, store.snapshots, place.settings())
        found.bases = bases
        return found

    return run_server(place.settings(), models)


def subjects_of(server: Running, memory: str) -> list[str]:
    return [fact.subject for fact in server.client.facts(memory)]


def refused(server: Running, memory: str = TRIAL, parent: str = DEMO, at: Moment = None) -> CallFailed:
    """Why a fork is refused; nothing was written."""
    position = server.store.log.position()
    with pytest.raises(CallFailed) as failure:
        server.client.fork(memory, parent, at)
    assert server.store.log.position() == position
    return failure.value


def test_a_fork_begins_as_its_parent_was(served: Running) -> None:
    answer = served.client.fork(TRIAL, DEMO, "monday")
    then = served.client.find_version(DEMO, "monday")
    memory = answer.memory

    assert (memory.parent, memory.parent_version, answer.version) == (DEMO, then.version, then.version + 1)
    assert memory.weights_digest == then.weights_digest
    assert memory.created_at.ToDatetime() > served.client.memory(DEMO).memory.created_at.ToDatetime()
    assert subjects_of(served, TRIAL) == ["Aria Moss"]
    assert [one.memory for one in served.client.memories()] == [DEMO, TRIAL]
    assert [event.memory for event in served.client.events(TRIAL)] == [DEMO] * then.version + [TRIAL]


def test_both_sides_go_on_and_neither_sees_the_other(served: Running, bases: BaseModels) -> None:
    served.client.fork(TRIAL, DEMO, "monday")
    tell(served.store, ("Cy Ames", "lives in", "Oslo"), memory=TRIAL)
    tell(served.store, ("Dee Orr", "lives in", "Rome"))
    work(served.store, bases)
    work(served.store, bases, memory=TRIAL)

    assert subjects_of(served, TRIAL) == ["Aria Moss", "Cy Ames"]
    assert subjects_of(served, DEMO) == ["Aria Moss", "Bo Lind", "Dee Orr"]
    for memory in (DEMO, TRIAL):
        found = served.client.replay(memory)
        assert found.rebuilt_weights == found.recorded_weights == served.client.memory(memory).memory.weights_digest
        assert found.edits_checked == served.client.memory(memory).memory.edits + 1
    assert served.client.replay(DEMO).rebuilt_weights != served.client.replay(TRIAL).rebuilt_weights


def test_what_waited_waits_in_the_fork_too(served: Running, bases: BaseModels) -> None:
    served.client.add_facts(DEMO, [new_fact("Cy Ames", "lives in", "Oslo")])
    served.client.fork(TRIAL, DEMO)
    (waiting,) = served.client.facts(TRIAL, status=facts_pb2.STATUS_PENDING)
    work(served.store, bases, memory=TRIAL)

    assert waiting.subject == "Cy Ames"
    assert served.client.fact(TRIAL, waiting.fact).fact.status == facts_pb2.STATUS_INJECTED


def test_a_request_to_erase_is_answered_as_at_first_although_a_fork_has_the_fact_since(served: Running) -> None:
    (fact, *_) = state_of(served.store).facts
    first = served.client.retract_fact(DEMO, fact, erase=True, request_id="once")
    served.client.fork(TRIAL, DEMO, "monday")

    assert served.client.retract_fact(DEMO, fact, erase=True, request_id="once") == first
    with pytest.raises(CallFailed, match=TRIAL) as failure:
        served.client.retract_fact(DEMO, fact, erase=True)
    assert failure.value.reason == "FACT_HELD"


def test_a_fork_of_a_fork_names_the_nearer_parent(served: Running) -> None:
    version = served.client.fork(TRIAL, DEMO, "monday").version
    nested = served.client.fork("nested", TRIAL).memory

    assert (nested.parent, nested.parent_version) == (TRIAL, version)
    assert subjects_of(served, "nested") == ["Aria Moss"]
    assert served.client.replay("nested").edits_checked == 2


@pytest.mark.parametrize(
    ("memory", "parent", "at", "code", "reason"),
    [
        (TRIAL, "nobody", None, "NOT_FOUND", "MEMORY_UNKNOWN"),
        (TRIAL, DEMO, 99, "NOT_FOUND", "VERSION_UNKNOWN"),
        (TRIAL, DEMO, "friday", "NOT_FOUND", "CHECKPOINT_UNKNOWN"),
        (TRIAL, DEMO, LONG_AGO, "NOT_FOUND", "MOMENT_UNKNOWN"),
        (DEMO, DEMO, None, "ALREADY_EXISTS", "MEMORY_TAKEN"),
        ("Trial", DEMO, None, "INVALID_ARGUMENT", "INVALID_FIELD"),
        (TRIAL, "", None, "INVALID_ARGUMENT", "INVALID_FIELD"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    served: Running, memory: str, parent: str, at: Moment, code: str, reason: str
) -> None:
    failure = refused(served, memory, parent, at)

    assert (failure.code, failure.reason) == (code, reason)
    if reason == "INVALID_FIELD":
        assert list(failure.fields) == ["memory" if memory != TRIAL else "parent"]


def test_a_fork_inside_a_sleep_is_refused_and_told_of_the_version_before(served: Running, bases: BaseModels) -> None:
    awake = state_of(served.store)
    start_sleep(served.store, seed=1)
    asleep = refused(served)
    work(served.store, bases)
    past = refused(served, at=awake.version + 3)

    assert (asleep.code, asleep.reason) == (past.code, past.reason) == ("FAILED_PRECONDITION", "ASLEEP_THEN")
    assert asleep.metadata["before"] == past.metadata["before"] == str(awake.version)
    assert served.client.fork(TRIAL, DEMO, awake.version).memory.weights_digest == awake.weights
    assert served.client.fork("rested", DEMO).memory.weights_digest == state_of(served.store).weights


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_fork_that_could_not_be_built_is_refused(served: Running, damage: str) -> None:
    (delta, *_) = plan(state_of(served.store)).deltas
    file = next(path for path in served.settings.artifact_folder.rglob("*") if path.name.startswith(delta))
    _damage(file, damage)
    failure = refused(served)

    assert failure.code == "DATA_LOSS"
    assert failure.reason == {"missing": "ARTIFACT_MISSING", "altered": "ARTIFACT_CORRUPT"}[damage]
    assert delta[:12] in str(failure)
    assert served.client.fork(TRIAL, DEMO, 2).memory.parent_version == 2  # which does not need it


def _damage(file: Path, damage: str) -> None:
    if damage == "missing":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)


def test_a_replay_restores_what_it_has_proved_as_a_fork(served: Running) -> None:
    found = served.client.replay(DEMO, "monday", restore_as=TRIAL)

    assert (found.restored_as, found.rebuilt_weights) == (TRIAL, found.recorded_weights)
    restored = served.client.memory(TRIAL)
    assert (restored.memory.parent, restored.memory.parent_version) == (DEMO, found.version)
    assert restored.memory.weights_digest == found.rebuilt_weights
    assert served.client.memory(DEMO).memory.facts.injected == 2  # history is never rewound


@pytest.mark.parametrize(("name", "reason"), [(DEMO, "MEMORY_TAKEN"), ("Trial", "INVALID_FIELD")])
def test_a_restore_that_cannot_be_is_refused_before_it_begins(served: Running, name: str, reason: str) -> None:
    with pytest.raises(CallFailed) as failure:
        served.client.replay(DEMO, restore_as=name)

    assert failure.value.reason == reason
    if reason == "INVALID_FIELD":
        assert "restore_as" in failure.value.fields


def test_a_fork_at_a_version_leaves_as_an_archive_and_comes_back_to_its_digest(
    served: Running, bases: BaseModels, tmp_path: Path
) -> None:
    version = served.client.fork(TRIAL, DEMO, "monday").version
    tell(served.store, ("Cy Ames", "lives in", "Oslo"), memory=TRIAL)
    work(served.store, bases, memory=TRIAL)
    for at in (version, served.client.memory(TRIAL).version):
        digest = served.client.memory(TRIAL, at).memory.weights_digest
        archive = tmp_path / f"{at}.tar"
        export_archive(archive, served.store.log, served.store.artifacts, TRIAL, at)
        place = Place(tmp_path / f"there-{at}")
        place.folder.mkdir()
        with open_store(place.settings()) as there:
            import_archive(archive, there.log, there.artifacts, None)
            models = LiveModels(there.log, there.artifacts, there.snapshots, place.settings())
            found = models.replay(TRIAL, None, lambda done, total, step: None, lambda: False)
        assert found.rebuilt == found.recorded == digest


def test_a_fork_inside_what_was_recorded_at_once_is_refused_and_says_where_it_may_begin(
    served: Running, bases: BaseModels
) -> None:
    """Between the two events of a superseding both facts stand, which AddFacts refuses."""
    before = served.client.memory(DEMO).version
    put_in_place(served.store, next(iter(state_of(served.store).facts)), "Oslo")
    failure = refused(served, at=before + 1)

    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "HALF_RECORDED")
    assert (failure.metadata["before"], failure.metadata["after"]) == (str(before), str(before + 2))
    served.client.fork("early", DEMO, before)
    served.client.fork("late", DEMO, before + 2)
    late = work(served.store, bases, memory=MemoryId("late"))
    assert [one.fact.object for one in late.facts.values() if one.status is Status.INJECTED] == ["Lima", "Oslo"]


@pytest.mark.parametrize("what", ["facts of one request", "an edit and what it wrote"])
def test_no_fork_begins_in_a_state_that_nobody_ever_saw(served: Running, bases: BaseModels, what: str) -> None:
    before = served.client.memory(DEMO).version
    tell(served.store, ("Cy Ames", "lives in", "Oslo"), ("Dee Orr", "lives in", "Rome"))
    told = served.client.memory(DEMO).version
    work(served.store, bases)
    written = served.client.memory(DEMO).version
    inside = range(before + 1, told) if what == "facts of one request" else range(told + 1, written)

    assert inside
    assert {refused(served, at=version).reason for version in inside} == {"HALF_RECORDED"}


@settings(
    max_examples=5,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cut=st.integers(0, 10**6), turns=st.lists(st.booleans(), min_size=1, max_size=3))
@example(cut=0, turns=[True])
def test_whatever_both_sides_do_neither_sees_the_other_and_both_are_rebuilt(
    served: Running, bases: BaseModels, cut: int, turns: list[bool]
) -> None:
    fork, parent = MemoryId(f"fork-{served.store.log.position()}"), MemoryId(DEMO)
    events = [recorded.event for recorded in served.store.log.read(memory=parent)]
    at = 1 + whole_around(events, cut % len(events))[1]
    served.client.fork(fork, DEMO, at)
    expected = {parent: subjects_of(served, parent), fork: subjects_of(served, fork)}
    for turn in turns:
        memory = parent if turn else fork
        name = f"Cy Number{served.store.log.position()}"
        tell(served.store, (name, "lives in", "Oslo"), memory=memory)
        work(served.store, bases, memory=memory)
        expected[memory].append(name)

    for memory in (parent, fork):
        assert subjects_of(served, memory) == expected[memory]
        found = served.client.replay(memory)
        weights = state_of(served.store, memory).weights or ""  # none before its statistics are prepared
        assert found.recorded_weights == weights
        assert found.rebuilt_weights == weights or not weights
    shared = [event.id for event in served.client.events(fork, until_version=at)]
    assert shared == [event.id for event in served.client.events(parent, until_version=at)]
