"""The model as it was: past weights beside the live ones, bit for bit, and no more work than needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from torch import Tensor

from core.errors.base import DigestMismatch, VersionUnknown
from core.errors.history import WordsErased
from core.ids import Digest
from core.state.memory import Memory
from core.state.plan import Plan
from core.weights.deltas.digest import weights_digest
from core.weights.model.editable_model import EditableModel
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.past_models import PastModels
from service.weights.projection import build_module
from tests.patience import PATIENCE
from tests.prepared import DEMO, Place, state_of, tell, work
from tests.store.given import throw_key_away


@pytest.fixture
def store(small: Place, bases: BaseModels) -> Iterator[Store]:
    """Three edits on a base of random weights."""
    with open_store(small.settings()) as store:
        work(store, bases)
        for name, city in (("Aria Moss", "Rome"), ("Bo Lind", "Lima"), ("Cy Ames", "Oslo")):
            tell(store, (name, "lives in", city))
            work(store, bases)
        yield store


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Module and terms of every sum that is made."""
    made: list[tuple[str, int]] = []

    def counted(model: EditableModel, deltas: DeltaStore, module: str, wanted: Plan) -> Tensor:
        made.append((module, len(wanted.terms)))
        return build_module(model, deltas, module, wanted)

    monkeypatch.setattr("service.weights.past_models.build_module", counted)
    return made


def states(store: Store) -> list[Memory]:
    """One of each version."""
    known = MemoryRepository(store.log, store.snapshots)
    return [known.at(DEMO, version) for version in range(1, state_of(store).version + 1)]


def remembered(store: Store, bases: BaseModels, room: int = 1 << 30) -> PastModels:
    return PastModels(bases, DeltaStore(store.artifacts, store.log.keyring), store.log.keyring, room)


def weights_bytes(memory: Memory, bases: BaseModels) -> int:
    assert memory.created is not None
    return sum(weight.nbytes for weight in bases.clone(memory.created).base_weights.values())


def test_every_version_has_the_weights_that_were_recorded(store: Store, bases: BaseModels) -> None:
    past = remembered(store, bases)

    for memory in reversed(states(store)):
        weights, digest = past.at(memory)
        assert weights_digest(weights) == digest
        assert memory.weights in (None, digest)


def test_a_version_with_the_same_plan_costs_nothing(
    store: Store, bases: BaseModels, sums: list[tuple[str, int]]
) -> None:
    past, (*_, before, now) = remembered(store, bases), states(store)
    assert before.version + 1 == now.version

    for memory in (now, before, now):
        past.at(memory)

    assert now.created is not None
    assert [module for module, _ in sums] == list(now.created.modules)


def test_a_module_whose_columns_are_the_same_is_left_alone(
    store: Store, bases: BaseModels, sums: list[tuple[str, int]]
) -> None:
    past, now = remembered(store, bases), state_of(store)
    last = max(now.edits.values(), key=lambda edit: edit.version)
    one, *others = last.modules
    partial = replace(now, edits={**now.edits, last.id: replace(last, modules=(one,))}, weights=None)
    without = replace(now, edits={id_: edit for id_, edit in now.edits.items() if id_ != last.id}, weights=None)
    assert others

    past.at(partial)
    sums.clear()
    past.at(without)

    assert [module for module, _ in sums] == [one]


def test_weights_are_kept_for_the_next_question(store: Store, bases: BaseModels, sums: list[tuple[str, int]]) -> None:
    past, known = remembered(store, bases), states(store)
    for memory in known:
        past.at(memory)
    made = len(sums)

    for memory in reversed(known):
        weights, digest = past.at(memory)
        assert weights_digest(weights) == digest

    assert len(sums) == made


@pytest.mark.parametrize("versions", [0, 1, 2])
def test_no_more_is_kept_than_there_is_room_for(
    store: Store, bases: BaseModels, versions: int, sums: list[tuple[str, int]]
) -> None:
    known = states(store)
    room = versions * weights_bytes(known[-1], bases)
    past = remembered(store, bases, room)

    for memory in (*known, *reversed(known)):
        _, digest = past.at(memory)
        assert memory.weights in (None, digest)
        assert past.kept <= room

    assert past.kept == room
    assert len(sums) > len(set(sums))  # what did not fit was made again


def test_the_least_recently_used_weights_go_first(store: Store, bases: BaseModels, sums: list[tuple[str, int]]) -> None:
    known = {memory.weights: memory for memory in states(store) if memory.weights}
    first, second, third, *_ = known.values()
    past = remembered(store, bases, 2 * weights_bytes(first, bases))
    for memory in (first, second, first, third):
        past.at(memory)
    sums.clear()

    past.at(first)
    assert not sums
    past.at(second)
    assert sums


def test_weights_that_are_not_the_recorded_ones_are_refused_and_forgotten(store: Store, bases: BaseModels) -> None:
    past, now = remembered(store, bases), state_of(store)

    with pytest.raises(DigestMismatch):
        past.at(replace(now, weights=Digest("0" * 64)))
    _, digest = past.at(now)
    assert digest == now.weights


def test_now_is_asked_while_the_past_is(store: Store, small: Place) -> None:
    models = LiveModels(store.log, store.artifacts, store.snapshots, small.settings())
    now = state_of(store)
    then = next(memory for memory in states(store) if memory.weights)

    def ask(at_version: int | None) -> Iterator[tuple[int, str]]:
        pieces = models.generate(DEMO, messages=None, prompt="Aria Moss", max_tokens=8, at_version=at_version)
        return ((piece.version, piece.weights) for piece in pieces)

    before = ask(then.version)
    assert next(before) == (then.version, then.weights)  # and goes on
    found: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: found.extend(ask(None)))
    thread.start()
    thread.join(PATIENCE)
    assert set(found) == {(now.version, now.weights)}
    assert set(before) <= {(then.version, then.weights)}


def test_a_version_that_was_never_reached_is_refused(store: Store, small: Place) -> None:
    models = LiveModels(store.log, store.artifacts, store.snapshots, small.settings())

    for version in (0, 99):
        with pytest.raises(VersionUnknown):
            next(models.generate(DEMO, messages=None, prompt="Aria", max_tokens=1, at_version=version))


def test_what_is_kept_of_an_erased_fact_is_void(store: Store, bases: BaseModels) -> None:
    past, known = remembered(store, bases), states(store)
    for memory in known:
        past.at(memory)
    last = list(known[-1].facts)[-1]

    throw_key_away(store.log, last)

    with pytest.raises(WordsErased):
        past.at(known[-1])
    before = next(memory for memory in known if last in memory.facts)
    _, digest = past.at(before)
    assert digest == before.weights
