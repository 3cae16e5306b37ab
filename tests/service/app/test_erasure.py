"""Erasing: a fact's words and its own columns are nowhere any more, and everything else goes on as if nothing was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, select

from core.decide.commands import Command, ForkMemory, RetractFact
from core.errors.base import RequestReused
from core.errors.history import FactHeld, WordsErased
from core.events.facts import EditComputed, EditKind, WorkFailed
from core.events.history import FactErased
from core.events.sleep import AdapterTrained
from core.ids import Digest, FactId, MemoryId
from core.state.memory import Memory, Status
from core.state.plan import plan, plan_at
from core.state.work import Erase
from core.weights.deltas.digest import weights_digest
from service.app import erasure, forks
from service.app.erasure import check_not_held
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.projection import build, columns_of
from store.archive.exporting import export_archive
from store.database.engine import reading
from store.database.schema import data_keys
from store.log.verify import verify_log
from store.sealing.delta_columns import Extent, extents
from store.sealing.destroy_key import throw_key_away
from store.state import loading
from store.state.snapshots import SUFFIX
from tests.patience import PATIENCE
from tests.prepared import CAUSE, DEMO, Place, start_sleep, state_of, tell, work

FORK = MemoryId("fork")
SUBJECT, OBJECT = "Quillon Varga", "Tarsk"


def execute(store: Store, command: Command, memory: MemoryId = DEMO) -> Memory:
    return MemoryRepository(store.log, store.snapshots).execute(memory, lambda _: command, CAUSE)


def retract(store: Store, fact: FactId, *, erase: bool, memory: MemoryId = DEMO, reason: str = "") -> Memory:
    command = RetractFact(
        memory=memory, fact=fact, reason=reason, erase=erase, request=f"{fact} {erase}", request_digest=Digest("1" * 64)
    )
    return execute(store, command, memory)


def fork(store: Store, version: int | None = None) -> Memory:
    at = MemoryRepository(store.log, store.snapshots).at(DEMO, version)
    (last,) = store.log.read(memory=DEMO, after_version=at.version - 1, limit=1)
    return execute(
        store, ForkMemory(memory=FORK, parent=DEMO, at=at, hash=last.hash, whole=(at.version, at.version)), FORK
    )


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All that was written but the base model, which was there before."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "base" not in path.parts:
            yield path, path.read_bytes()


def holding(folder: Path, *wanted: bytes) -> set[str]:
    return {path.name for path, content in files(folder) if any(one in content for one in wanted)}


def own_columns(store: Store, fact: FactId) -> list[tuple[Digest, Extent]]:
    edits = [one.event for one in store.log.read(memory=DEMO) if isinstance(one.event, EditComputed)]
    return [(edit.delta, one) for edit in edits for one in extents(store.artifacts.get(edit.delta)) if one.fact == fact]


@pytest.fixture
def store(small: Place, bases: BaseModels) -> Iterator[Store]:
    """A memory of random weights that was told one fact to erase and one to keep, both in one edit."""
    with open_store(small.settings()) as found:
        tell(found, (SUBJECT, "lives in", OBJECT), ("Bo Lind", "lives in", "Lima"))
        work(found, bases)
        yield found


@pytest.fixture
def facts(store: Store) -> list[FactId]:
    return list(state_of(store).facts)


def test_no_byte_of_its_words_or_columns_is_left_anywhere(
    small: Place, store: Store, facts: list[FactId], bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVERY", 2)
    state = MemoryRepository(store.log, store.snapshots).current(DEMO)
    words = (SUBJECT.encode(), OBJECT.encode(), SUBJECT.casefold().encode())
    assert list(small.settings().snapshot_folder.rglob(f"{state.version}{SUFFIX}"))
    assert holding(small.folder, *words) == set()  # what holds words is sealed before they are erased, too
    deltas = DeltaStore(store.artifacts, store.log.keyring)
    clear = [
        factor.select(part).mantissa[:, index].contiguous().numpy().tobytes()
        for delta, part, _ in columns_of(deltas, plan_at(state, {facts[1]: 0.0}))
        for factor in next(iter(delta.factors.values()))
        for index in range(part.stop - part.start)
    ]
    ((digest, extent),) = own_columns(store, facts[0])
    key = store.log.keyring.key(facts[0])
    assert key

    retract(store, facts[0], erase=True, reason=f"{SUBJECT} asked for it")
    after = work(store, bases)
    export_archive(small.folder / "demo.tar", store.log, store.artifacts, DEMO)

    assert after.facts[facts[0]].erased
    assert holding(small.folder, *words, key, *clear) == set()
    sealed = store.artifacts.get(digest)[extent.offset : extent.offset + extent.length]
    with store.log.engine.connect() as connection:
        left = [one for one in connection.execute(select(data_keys.c.key)).scalars() if one]
    name = f"hypnogram-sealed-1\0{extent.fact}/{extent.first}/{extent.count}".encode()
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], name)  # with the key that is gone it would
    for other in left:
        with pytest.raises(InvalidTag):
            AESGCM(other).decrypt(sealed[:12], sealed[12:], name)


def test_the_log_verifies_and_every_state_that_does_without_it_is_rebuilt(
    store: Store, facts: list[FactId], bases: BaseModels
) -> None:
    told_at = state_of(store).version
    retract(store, facts[0], erase=True)
    after = work(store, bases)
    deltas = DeltaStore(store.artifacts, store.log.keyring)
    assert after.created is not None
    model = bases.clone(after.created)

    assert verify_log(store.log, store.artifacts).fault is None
    assert weights_digest(build(model, deltas, plan(after))) == after.weights
    then = MemoryRepository(store.log, store.snapshots).at(DEMO, told_at)
    assert (then.facts[facts[0]].fact.subject, then.facts[facts[1]].fact.subject) == ("", "Bo Lind")
    with pytest.raises(WordsErased, match=facts[0]):
        build(model, deltas, plan(then))
    tell(store, (SUBJECT, "lives in", "Oslo"))
    assert work(store, bases).weights != after.weights


def test_a_state_folded_before_equals_one_folded_after(store: Store, facts: list[FactId], bases: BaseModels) -> None:
    kept = MemoryRepository(store.log, store.snapshots)
    kept.current(DEMO)
    retract(store, facts[0], erase=True)
    work(store, bases)

    assert kept.current(DEMO) == state_of(store)
    assert kept.current(DEMO).facts[facts[0]].fact.object == ""


def test_the_receipt_names_what_remains(store: Store, facts: list[FactId], bases: BaseModels) -> None:
    start_sleep(store, seed=1)
    work(store, bases)
    retract(store, facts[0], erase=True)
    work(store, bases)

    events = [one.event for one in store.log.read(memory=DEMO)]
    (receipt,) = [one for one in events if isinstance(one, FactErased)]
    adapters = [one.delta for one in events if isinstance(one, AdapterTrained)]
    counter = [one.delta for one in events if isinstance(one, EditComputed) and one.kind is EditKind.WITHDRAWAL]
    assert adapters
    assert list(receipt.remains) == [*adapters, *counter]


def test_a_delta_that_was_stored_in_clear_remains(
    store: Store, facts: list[FactId], bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.erasure.extents", lambda data: ())  # as in a log of an older version
    edit = next(one.event for one in store.log.read(memory=DEMO) if isinstance(one.event, EditComputed))
    retract(store, facts[0], erase=True)
    work(store, bases)

    receipt = next(one.event for one in store.log.read(memory=DEMO) if isinstance(one.event, FactErased))
    assert edit.delta in receipt.remains


@pytest.mark.parametrize("killed_at", ["_retract", "throw_key_away"])
def test_one_that_was_killed_is_completed(
    small: Place,
    store: Store,
    facts: list[FactId],
    bases: BaseModels,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: str,
) -> None:
    fork(store, 3)  # before anything was written
    retract(store, facts[0], erase=False, memory=FORK)
    retract(store, facts[0], erase=True)
    key, real = store.log.keyring.key(facts[0]), getattr(erasure, killed_at)
    assert key

    def killed(*given: object) -> None:
        real(*given)
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(erasure, killed_at, killed)
        work(store, bases, until=lambda memory: bool(memory.facts[facts[0]].failures))
    assert (store.log.keyring.key(facts[0]) is None) == (killed_at == "throw_key_away")
    assert not state_of(store).facts[facts[0]].erased

    there = work_until(store, bases, FORK, lambda memory: memory.facts[facts[0]].erased)

    assert there.facts[facts[0]].fact.subject == ""
    assert work(store, bases).facts[facts[0]].erased
    assert holding(small.folder, key) == set()


def test_a_fact_that_a_fork_has_is_not_erased_until_it_is_taken_back_there(
    store: Store, facts: list[FactId], bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.executor.loop.seconds_before", lambda work: 0.3)
    fork(store)
    states = MemoryRepository(store.log, store.snapshots)
    with pytest.raises(FactHeld, match=FORK):
        check_not_held(store.log, states, DEMO, facts[0], lambda memory: True)
    with pytest.raises(FactHeld, match=DEMO):
        check_not_held(store.log, states, FORK, facts[0], lambda memory: True)

    retract(store, facts[0], erase=True)
    work(store, bases, until=lambda memory: bool(memory.facts[facts[0]].failures))
    failed = [one.event for one in store.log.read(memory=DEMO) if isinstance(one.event, WorkFailed)]
    assert {(one.work, one.reason) for one in failed} == {("erase", "FACT_HELD")}
    assert not any(FORK in one.message for one in failed)  # because not all readers of a memory may know of another
    assert store.log.keyring.key(facts[0])

    retract(store, facts[0], erase=False, memory=FORK)
    there = work_until(store, bases, FORK, lambda memory: memory.facts[facts[0]].erased)

    assert there.facts[facts[0]].fact.subject == ""
    assert there.facts[facts[1]].fact.subject == "Bo Lind"
    assert state_of(store).facts[facts[0]].erased
    assert verify_log(store.log, store.artifacts).fault is None


def test_a_fork_that_is_made_during_an_erasure_puts_it_off(
    store: Store, facts: list[FactId], bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    retract(store, facts[0], erase=True)

    def forked_first(engine: Engine, fact: FactId, check: Callable[[], None]) -> None:
        fork(store, 3)  # after all was checked, before the key is gone
        throw_key_away(engine, fact, check)

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "throw_key_away", forked_first)
        work(store, bases, until=lambda _: FORK in store.log.memories())

    assert store.log.keyring.key(facts[0])
    assert not state_of(store).facts[facts[0]].erased
    assert MemoryRepository(store.log, store.snapshots).current(FORK).facts[facts[0]].fact.subject == SUBJECT


def test_an_erasure_reads_each_relative_once_and_none_while_others_wait_to_append(
    store: Store, facts: list[FactId], monkeypatch: pytest.MonkeyPatch
) -> None:
    forks = [MemoryId(f"fork-{number}") for number in range(4)]
    at = MemoryRepository(store.log, store.snapshots).at(DEMO, 1)
    (last,) = store.log.read(memory=DEMO, limit=1)
    for name in forks:
        execute(store, ForkMemory(memory=name, parent=DEMO, at=at, whole=(1, 1), hash=last.hash), name)
    read: list[MemoryId] = []
    locked: list[int] = []
    current = MemoryRepository.current

    def counted(states: MemoryRepository, memory: MemoryId) -> Memory:
        read.append(memory)
        return current(states, memory)

    def counting(engine: Engine, fact: FactId, check: Callable[[], None]) -> None:
        before = len(read)
        throw_key_away(engine, fact, check)
        locked.append(len(read) - before)

    monkeypatch.setattr(MemoryRepository, "current", counted)
    monkeypatch.setattr(erasure, "throw_key_away", counting)
    states = MemoryRepository(store.log, store.snapshots)
    erasure.erase_fact(store.log, store.artifacts, store.snapshots, states, DEMO, Erase(fact=facts[0], attempt=1))

    assert sorted(read) == forks
    assert locked == [0]


def test_a_memory_that_gave_an_erasure_up_is_done_with_the_fork_that_held_it_up(
    store: Store, facts: list[FactId], bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.executor.loop.seconds_before", lambda work: 0.1)
    fork(store)
    retract(store, facts[0], erase=True)
    given_up = work(store, bases, until=lambda memory: memory.facts[facts[0]].failures == 3)
    assert facts[0] not in given_up.pending_erasure

    retract(store, facts[0], erase=True, memory=FORK)
    there = work_until(store, bases, FORK, lambda memory: memory.facts[facts[0]].erased)
    after = work(store, bases)

    assert there.facts[facts[0]].fact.subject == after.facts[facts[0]].fact.subject == ""
    assert after.facts[facts[0]].erased
    assert verify_log(store.log, store.artifacts).fault is None


def test_a_fork_that_is_made_after_the_key_is_gone_holds_nothing_up_and_sleeps(
    store: Store, facts: list[FactId], bases: BaseModels
) -> None:
    start_sleep(store, seed=1)  # whose adapter a counter-edit has to reverse
    work(store, bases)
    retract(store, facts[0], erase=False)
    withdrawn = work(store, bases)
    retract(store, facts[0], erase=True)
    throw_key_away(store.log.engine, facts[0])
    fork(store, withdrawn.version)

    after = work(store, bases)
    start_sleep(store, seed=2, memory=FORK)
    there = work(store, bases, memory=FORK)

    assert after.facts[facts[0]].erased
    assert there.facts[facts[0]].fact.subject == ""
    assert [one.completed for one in there.nights.values()] == [True, True]


def test_a_fork_that_an_erasure_overtakes_is_not_made(
    store: Store, facts: list[FactId], monkeypatch: pytest.MonkeyPatch
) -> None:
    states, real = MemoryRepository(store.log, store.snapshots), forks.check_whole

    def erased_after(store: Store, command: ForkMemory) -> None:
        real(store, command)
        throw_key_away(store.log.engine, facts[0])

    monkeypatch.setattr(forks, "check_whole", erased_after)
    with pytest.raises(WordsErased, match=facts[0]):
        forks.fork(store, states, FORK, DEMO, 4, CAUSE, retries=0)

    assert FORK not in store.log.memories()


def test_whoever_reads_the_database_holds_up_an_erasure_and_nothing_else(
    small: Place, bases: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.executor.waits.FIRST_SECONDS", 0.2)
    monkeypatch.setattr(
        "store.database.engine.BUSY_SECONDS", 10 * PATIENCE
    )  # whoever waits for the reader waits too long
    with open_store(small.settings()) as store:
        (fact,) = tell(store, (SUBJECT, "lives in", OBJECT))
        work(store, bases)
        retract(store, fact, erase=True)
        with reading(store.log.engine).connect() as reader:
            reader.exec_driver_sql("BEGIN")
            reader.execute(select(data_keys)).all()
            work(store, bases, until=lambda _: store.log.keyring.key(fact) is None)
            (other,) = tell(store, ("Bo Lind", "lives in", "Lima"))
            work(store, bases, until=lambda memory: memory.facts[other].in_weights)
            restless = Settings(lease_seconds=2.0, nap_hours=1e-6)
            held_up = work(store, bases, until=lambda memory: bool(memory.nights), settings=restless)
            reader.exec_driver_sql("COMMIT")
        after = work(store, bases)

        assert not held_up.facts[fact].erased
        assert after.facts[fact].erased
        assert [one.completed for one in after.nights.values()] == [True]
        assert not [one for one in store.log.read(memory=DEMO) if isinstance(one.event, WorkFailed)]


def test_a_memory_that_shares_nothing_holds_nothing_up(store: Store, facts: list[FactId]) -> None:
    fork(store, 1)  # before it was told

    check_not_held(store.log, MemoryRepository(store.log, store.snapshots), DEMO, facts[0], lambda memory: True)


def test_a_request_of_an_erased_fact_is_known_by_its_id_alone(
    store: Store, facts: list[FactId], bases: BaseModels
) -> None:
    retract(store, facts[0], erase=True)
    repeated = RetractFact(
        memory=DEMO,
        fact=facts[0],
        reason="another",
        erase=True,
        request=f"{facts[0]} True",
        request_digest=Digest("2" * 64),
    )
    with pytest.raises(RequestReused):
        execute(store, repeated)
    after = work(store, bases)

    assert execute(store, repeated) == after


def test_a_failure_names_the_fact_and_none_of_its_words(
    store: Store,
    facts: list[FactId],
    bases: BaseModels,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> None:
        raise KeyError(f"{SUBJECT} lives in {OBJECT}")

    monkeypatch.setattr("service.executor.work.edit.compute_edit", broken)
    (fact,) = tell(store, (SUBJECT, "has a pet", OBJECT))
    after = work(store, bases, until=lambda memory: bool(memory.facts[fact].failures))

    assert after.facts[fact].failure.startswith("KeyError at test_erasure.py:")
    assert after.facts[fact].status is Status.PENDING
    assert OBJECT not in capsys.readouterr().out


def work_until(store: Store, bases: BaseModels, memory: MemoryId, until: Callable[[Memory], bool]) -> Memory:
    """Runs an executor until `memory`, which is not the one that the others work on, is as wanted."""
    states = MemoryRepository(store.log, store.snapshots)
    work(store, bases, until=lambda _: until(states.current(memory)))
    return states.current(memory)
