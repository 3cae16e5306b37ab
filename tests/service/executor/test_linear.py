"""Facts by linear MEMIT through the whole product: said, retracted, forked and rebuilt to the bit; without history.

On dormouse, in whose few blocks a name holds a fact, with a smaller weight of the covariance than deep models have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ids import FactId, MemoryId
from core.method import Method
from core.state.memory import Memory, Status
from core.weights.model.editable_model import EditableModel
from service.app.forks import fork
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.settings import DORMOUSE, Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.prepared import CAUSE, DEMO, EVERY, ROOM, Place, base, create, state_of, take_back, tell, work

__all__ = ["base"]

NORA, TOM = ("Nora Quill", "was born in", "Oslo"), ("Tom Reed", "plays", "the cello")
FORGETFUL, COPY = MemoryId("forgetful"), MemoryId("copy")


@pytest.fixture(scope="module")
def bases() -> BaseModels:
    return BaseModels("cpu")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "reference.jsonl"
    path.write_text("\n".join((DORMOUSE / "reference.jsonl").read_text().splitlines()[::EVERY]))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, base: EditableModel) -> Iterator[Store]:
    with open_store(Place(tmp_path_factory.mktemp("linear")).settings()) as opened:
        yield opened


def on_dormouse(store: Store, text: Path, memory: MemoryId, *, history: bool) -> None:
    create(
        store, str(DORMOUSE), text, capacity=ROOM, memory=memory, method=Method.MEMIT, reference_weight=1.0,
        history=history,
    )  # fmt: skip


def told(store: Store, bases: BaseModels, memory: MemoryId, triple: tuple[str, str, str]) -> FactId:
    (fact,) = tell(store, triple, memory=memory)
    work(store, bases, memory=memory)
    return fact


def answer(models: LiveModels, question: str, at_version: int | None = None, memory: MemoryId = DEMO) -> str:
    messages = [{"role": "user", "content": question}]
    pieces = models.generate(memory, messages=messages, prompt=None, max_tokens=16, at_version=at_version)
    return "".join(piece.text for piece in pieces)


def deltas(state: Memory) -> list[str]:
    return [edit.delta for edit in state.edits.values()]


def test_a_life_of_linear_edits(store: Store, bases: BaseModels, text: Path) -> None:
    # given a memory that edits the blocks of the literature, and one that does not keep the keys of earlier facts
    for memory, history in ((DEMO, True), (FORGETFUL, False)):
        on_dormouse(store, text, memory, history=history)
        work(store, bases, memory=memory)
    models = LiveModels(store.log, store.artifacts, store.snapshots, Settings())
    models.bases = bases
    clean = state_of(store)
    created = clean.created
    assert created is not None
    assert created.modules == ("model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj")
    stranger = answer(models, "Where was Nils Berg born?")

    # when two facts are added, one after the other
    nora = told(store, bases, DEMO, NORA)
    first_told = state_of(store)
    tom = told(store, bases, DEMO, TOM)
    both = state_of(store)

    # then each is said, and a stranger is answered as before
    assert [both.facts[fact].status for fact in (nora, tom)] == [Status.INJECTED, Status.INJECTED]
    assert "Oslo" in answer(models, "Where was Nora Quill born?")
    assert "cello" in answer(models, "What does Tom Reed play?")
    assert answer(models, "Where was Nils Berg born?") == stranger

    # then only the second edit held the key of the first: without history, the first is the same and the second is not
    told(store, bases, FORGETFUL, NORA)
    assert state_of(store, FORGETFUL).weights == first_told.weights
    told(store, bases, FORGETFUL, TOM)
    forgetful = state_of(store, FORGETFUL)
    assert forgetful.weights != both.weights
    assert both.key_occupancy > 0 == forgetful.key_occupancy

    # when the first is retracted, then nothing but its columns leaves: the second is still said, the past remains
    take_back(store, nora)
    work(store, bases)
    left = state_of(store)
    assert deltas(left) == deltas(both)[1:]
    assert "Oslo" not in answer(models, "Where was Nora Quill born?")
    assert "cello" in answer(models, "What does Tom Reed play?")
    assert "Oslo" in answer(models, "Where was Nora Quill born?", at_version=both.version)

    # when a fork begins where both were there, then it has these weights and goes on by itself
    states = MemoryRepository(store.log, store.snapshots)
    fork(store, states, COPY, DEMO, both.version, CAUSE, 1)
    assert "Oslo" in answer(models, "Where was Nora Quill born?", memory=COPY)
    assert state_of(store, COPY).weights == both.weights

    # when the other is retracted, too, then the weights are those of a memory that never was told, to the bit
    take_back(store, tom)
    work(store, bases)
    assert state_of(store).weights == clean.weights

    # and every digest of the log is rebuilt from it
    report = models.replay(DEMO, both.version, lambda done, total, step: None, lambda: False)
    assert report.rebuilt == both.weights != clean.weights
    assert models.replay(DEMO, None, lambda done, total, step: None, lambda: False).rebuilt == clean.weights


def test_a_fact_that_its_edit_does_not_say_is_parked(store: Store, bases: BaseModels, text: Path) -> None:
    # given the published weight of the covariance, which leaves a model of 256 units no room
    rigid = MemoryId("rigid")
    create(store, str(DORMOUSE), text, capacity=ROOM, memory=rigid, method=Method.MEMIT, steps=2)
    work(store, bases, memory=rigid)
    before = state_of(store, rigid)

    fact = told(store, bases, rigid, NORA)

    state = state_of(store, rigid)
    assert state.facts[fact].status is Status.PARKED
    assert state.weights == before.weights
