"""Deleting a memory: its words and deltas are gone from every file, forks keep theirs, its name is free again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.decide.commands import DeleteMemory
from core.errors.base import MemoryGone
from core.ids import FactId, MemoryId
from core.state.memory import Memory, needed
from core.state.plan import plan
from hypnogram.client import CallFailed, Client, new_fact
from service.app import purging
from service.app.forks import fork, prepare
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.app.verification import verify
from service.executor.loop import Executor
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from store.archive.exporting import export_archive
from store.log.event_log import EventLog
from store.log.purging import Doomed, doomed
from tests.patience import PATIENCE, eventually
from tests.prepared import CAUSE, DEMO, Place, create, start_sleep, state_of, tell, work
from tests.service.conftest import Running

FORK = MemoryId("fork")
OWN, SHARED = ("Quillon Varga", "lives in", "Tarsk"), ("Bo Lind", "lives in", "Lima")


def delete(store: Store, memory: MemoryId = DEMO) -> None:
    MemoryRepository(store.log, store.snapshots).execute(memory, lambda _: DeleteMemory(memory=memory), CAUSE)


def is_purged(memory: Memory) -> bool:
    return memory.purged


def sound(store: Store, settings: Settings) -> bool:
    models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
    silent = {"progress": lambda done, total, step: None, "cancelled": lambda: False}
    return verify(store, models, skip_weights=False, **silent).fault is None  # type: ignore[arg-type]


def words_in(folder: Path, *words: str) -> set[str]:
    """The files below `folder` that hold one of `words`."""
    files = [path for path in folder.rglob("*") if path.is_file() and "base" not in path.parts]
    return {path.name for path in files if any(word.encode() in path.read_bytes() for word in words)}


@pytest.fixture
def store(small: Place, bases: BaseModels) -> Iterator[Store]:
    """A memory of random weights that was told one fact before it was forked and one after."""
    with open_store(small.settings()) as opened_store:
        tell(opened_store, SHARED)
        work(opened_store, bases)
        fork(
            opened_store, MemoryRepository(opened_store.log, opened_store.snapshots), FORK, DEMO, None, CAUSE, retries=0
        )
        tell(opened_store, OWN)
        work(opened_store, bases)
        yield opened_store


def test_its_words_keys_and_deltas_are_gone_and_the_log_still_verifies(
    small: Place, store: Store, bases: BaseModels
) -> None:
    shared, own = state_of(store).facts
    before = set(store.artifacts.list())
    own_key = store.log.keyring.key(own)
    assert own_key is not None

    delete(store)
    after = work(store, bases, until=is_purged)

    keys = store.log.keyring.keys((shared, own))
    assert keys[own] is None
    assert keys[shared] is not None, "the fork has it"
    assert words_in(small.folder, OWN[0], OWN[2]) == set()
    assert not any(own_key in path.read_bytes() for path in small.folder.glob("hypnogram.db*"))
    assert len(before - set(store.artifacts.list())) == 1, "the delta of the edit that the fork does not have"
    assert after.purged
    assert sound(store, small.settings())


def test_the_fork_goes_on_as_if_nothing_was(small: Place, store: Store, bases: BaseModels) -> None:
    delete(store)
    work(store, bases, until=is_purged)

    (fact,) = tell(store, ("Zed Quorn", "lives in", "Rome"), memory=FORK)
    assert work(store, bases, memory=FORK).facts[fact].status == "injected"
    assert [state.fact.object for state in state_of(store, FORK).facts.values()] == ["Lima", "Rome"]

    delete(store, FORK)
    gone = work(store, bases, until=is_purged, memory=FORK)
    assert gone.purged
    assert words_in(small.folder, SHARED[0], "Zed Quorn") == set(), "with the last that shares them, its words go"
    assert sound(store, small.settings())


def test_a_memory_can_be_deleted_in_the_middle_of_a_sleep(small: Place, store: Store, bases: BaseModels) -> None:
    start_sleep(store, seed=1)
    delete(store)

    assert work(store, bases, until=is_purged).sleep is None
    assert sound(store, small.settings())


@pytest.mark.parametrize("killed_at", ["throw_keys_away", "doomed"])
def test_a_purge_that_was_cut_short_is_done_again(
    store: Store, bases: BaseModels, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    delete(store)
    real = getattr(purging, killed_at)

    def cut_short(*arguments: object) -> object:
        real(*arguments)
        monkeypatch.setattr(purging, killed_at, real)
        raise OSError("cut short")

    monkeypatch.setattr(purging, killed_at, cut_short)

    assert work(store, bases, until=is_purged).purged


def test_a_fork_that_was_under_way_keeps_its_words(
    small: Place, store: Store, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, states = MemoryId("late"), MemoryRepository(store.log, store.snapshots)
    command = prepare(store, states, late, DEMO, None)
    delete(store)

    def forked_meanwhile(log: EventLog, memory: MemoryId) -> Doomed:
        alone = doomed(log, memory)
        states.execute(late, lambda _: command, CAUSE, needs=needed(command.at))
        monkeypatch.setattr(purging, "doomed", doomed)
        return alone

    monkeypatch.setattr(purging, "doomed", forked_meanwhile)
    work(store, bases, until=is_purged)

    assert [state.fact.object for state in state_of(store, late).facts.values()] == ["Lima", "Tarsk"]
    assert sound(store, small.settings())


def test_an_executor_that_did_not_purge_takes_a_new_memory_of_the_name_for_what_it_is(
    small: Place, store: Store, bases: BaseModels
) -> None:
    idle = Executor(store.log, store.artifacts, store.snapshots, small.settings(), bases)
    before = idle._editor(DEMO, state_of(store))
    delete(store)
    work(store, bases, until=is_purged)

    create(store, str(small.folder / "base"), reference_weight=0.5)
    new = state_of(store)
    editor_ = idle._editor(DEMO, new)

    assert (editor_ is before, editor_.created) == (False, new.created)
    assert idle._editor(DEMO, new) is editor_


def test_an_executor_keeps_no_deltas_of_a_memory_that_it_has_purged(
    small: Place, store: Store, bases: BaseModels
) -> None:
    brief, going_on = MemoryId("brief"), threading.Event()
    executor = Executor(store.log, store.artifacts, store.snapshots, small.settings(), bases)
    create(store, str(small.folder / "base"), memory=brief)
    tell(store, OWN, memory=brief)
    while executor._serve(brief, going_on):
        pass
    executor._deltas.columns(plan(state_of(store, brief)).terms)  # as its next edit would
    assert executor._deltas.kept > 0

    delete(store, brief)
    executor._serve(brief, going_on)

    assert state_of(store, brief).purged
    assert executor._deltas.kept == 0


def test_its_name_is_free_again_and_the_new_memory_lives(small: Place, store: Store, bases: BaseModels) -> None:
    delete(store)
    last = work(store, bases, until=is_purged).version

    create(store, str(small.folder / "base"))
    (fact,) = tell(store, ("Zed Quorn", "lives in", "Rome"))
    again = work(store, bases)

    assert list(again.facts) == [fact]
    assert again.begun == last
    assert sound(store, small.settings())
    with pytest.raises(MemoryGone):
        MemoryRepository(store.log, store.snapshots).at(DEMO, last)


def test_a_deleted_memory_has_no_archive(store: Store, bases: BaseModels, tmp_path: Path) -> None:
    version = state_of(store).version
    delete(store)
    work(store, bases, until=is_purged)

    for wanted in (None, version):
        with pytest.raises(MemoryGone):
            export_archive(tmp_path / "demo.tar", store.log, store.artifacts, DEMO, wanted)
    assert not (tmp_path / "demo.tar").exists()


def test_over_the_wire_it_is_gone_at_once_and_its_log_is_not(demo: Running) -> None:
    (fact,) = [FactId(state) for state in _told(demo)]

    answer = demo.client.delete_memory(DEMO)
    assert not answer.purged
    demo.work()
    again = demo.client.delete_memory(DEMO)

    assert (again.version, again.purged) == (answer.version, True)
    assert list(demo.client.memories()) == []
    with pytest.raises(Exception, match="was deleted"):
        demo.client.memory(DEMO)
    with pytest.raises(Exception, match="was deleted"):
        demo.client.fact(DEMO, fact)
    types = [event.type for event in demo.client.events(DEMO)]
    assert types[-2:] == ["MemoryDeleted", "MemoryPurged"]


ARIA = new_fact("Aria Voss", "lives in", "Lisbon")
WAITS: dict[str, Callable[[Client, str], object]] = {
    "add": lambda client, _: client.add_facts(DEMO, [new_fact("Bo Lind", "lives in", "Oslo")], wait=True),
    "tell": lambda client, _: client.tell_text(DEMO, "Bo Lind lives in Oslo.", wait=True),
    "supersede": lambda client, fact: client.supersede_fact(DEMO, fact, "Porto", wait=True),
    "retract": lambda client, fact: client.retract_fact(DEMO, fact, wait=True),
    "erase texts": lambda client, _: client.erase_conversation(DEMO, "talk", wait=True),
    "sleep": lambda client, _: client.sleep(DEMO),
}


@pytest.mark.parametrize("again", [False, True], ids=["", "created anew"])
@pytest.mark.parametrize("wait", WAITS)
def test_who_waits_is_told_that_the_memory_was_deleted(demo: Running, wait: str, again: bool) -> None:
    (fact,) = _told(demo)
    list(demo.client.chat(DEMO, "Hello!", conversation="talk"))
    before = demo.client.memory(DEMO).version

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(WAITS[wait], demo.client, fact)
        eventually(lambda: waiting.done() or demo.client.memory(DEMO).version > before)
        deleted = demo.client.delete_memory(DEMO).version
        if again:
            demo.work()
            demo.client.create_memory(DEMO)
        with pytest.raises(CallFailed, match=r"the memory was deleted at version \d+") as failed:
            waiting.result(PATIENCE)

    assert failed.value.reason == "MEMORY_DELETED"
    assert f"version {deleted}" in str(failed.value) or again


def test_a_retry_that_waits_is_told_that_the_memory_was_deleted(demo: Running) -> None:
    demo.client.add_facts(DEMO, [ARIA])
    demo.work(fail=True)
    before = demo.client.memory(DEMO).version

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(demo.client.retry_fact, DEMO, wait=True)
        eventually(lambda: waiting.done() or demo.client.memory(DEMO).version > before)
        demo.client.delete_memory(DEMO)
        with pytest.raises(CallFailed) as failed:
            waiting.result(PATIENCE)

    assert failed.value.reason == "MEMORY_DELETED"


@pytest.mark.parametrize("call", [*WAITS, "retry", "watch"])
def test_no_call_waits_for_a_memory_that_was_deleted_before(demo: Running, call: str) -> None:
    (fact,) = _told(demo)
    demo.client.delete_memory(DEMO)
    late: dict[str, Callable[[Client, str], object]] = {
        "retry": lambda client, fact: client.retry_fact(DEMO, fact, wait=True),
        "watch": lambda client, _: list(client.watch_sleep(DEMO)),
    }

    with pytest.raises(CallFailed) as failed:
        (WAITS | late)[call](demo.client, fact)

    assert failed.value.reason == "MEMORY_DELETED"


def test_asking_how_far_a_deletion_has_come_deletes_no_new_memory_of_the_name(demo: Running) -> None:
    answer = demo.client.delete_memory(DEMO)
    demo.work()
    again = demo.client.delete_memory(DEMO, expected_version=answer.version)
    assert again.purged
    new = demo.client.create_memory(DEMO)

    with pytest.raises(CallFailed) as failed:
        demo.client.delete_memory(DEMO, expected_version=answer.version)

    assert failed.value.reason == "VERSION_CONFLICT"
    assert demo.client.memory(DEMO).version == new.version


def _told(demo: Running) -> list[str]:
    answer = demo.client.add_facts(DEMO, [ARIA])
    demo.work()
    return [result.fact.fact for result in answer.results]
