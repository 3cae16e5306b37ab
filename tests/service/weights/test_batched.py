"""Requests on one base model are generated together, and get what each would get alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from benchmarks.support.tiny import make
from core.ids import MemoryId
from core.weights.batching.mixed import row_weights
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import decode, most_likely
from service.app.ports import Piece
from service.app.store import Store, open_store
from service.weights.base_models import BaseModels
from service.weights.batched import Batched
from service.weights.live_models import LiveModels
from tests.patience import PATIENCE, eventually
from tests.prepared import DEMO, Place, create, state_of, tell, work

TEXTS = ("Clara", "The old lamp stood near the river and", "Every evening a fox", "Ann Lee lives in", "Where does Bo")
TOKENS = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> EditableModel:
    return load_model(make(tmp_path_factory.mktemp("batched") / "base"))


def alone(model: EditableModel, text: str) -> list[int]:
    with torch.inference_mode():
        tokens = [row[0] for row in decode(model, [model.raw_ids(text)], TOKENS)]
    ends = [number for number, token in enumerate(tokens) if token in model.end_tokens()]
    return tokens[: ends[0] + 1] if ends else tokens


def said(
    batched: Batched, model: EditableModel, text: str, choose: Callable[[Tensor], Tensor]
) -> Generator[int, None, None]:
    return batched.tokens(model.raw_ids(text), TOKENS, row_weights(model, {}), choose)


def test_requests_at_once_get_what_each_gets_alone(model: EditableModel) -> None:
    batched = Batched(model)
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        together = list(pool.map(lambda text: list(said(batched, model, text, most_likely)), TEXTS * 3))

    assert together == [alone(model, text) for text in TEXTS] * 3


def test_a_request_joins_while_another_is_generated(model: EditableModel) -> None:
    batched, order = Batched(model), list[str]()

    def first(logits: Tensor) -> Tensor:
        order.append("first")
        if order == ["first"] * 2:
            eventually(lambda: batched._waiting)  # the other request
        return most_likely(logits)

    def second(logits: Tensor) -> Tensor:
        order.append("second")
        return most_likely(logits)

    with ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(lambda: list(said(batched, model, TEXTS[1], first)))
        eventually(lambda: order)
        later = pool.submit(lambda: list(said(batched, model, TEXTS[0], second)))

        assert (earlier.result(PATIENCE), later.result(PATIENCE)) == (alone(model, TEXTS[1]), alone(model, TEXTS[0]))
    assert order[:3] == ["first", "first", "second"]
    assert "first" in order[3:]


def test_what_is_not_read_any_more_is_not_generated_any_more(model: EditableModel) -> None:
    batched, chosen, gone = Batched(model), list[int](), threading.Event()

    def choose(logits: Tensor) -> Tensor:
        chosen.append(1)
        if len(chosen) == 2:
            assert gone.wait(PATIENCE)
        return most_likely(logits)

    tokens = said(batched, model, TEXTS[1], choose)
    next(tokens)
    tokens.close()
    gone.set()

    eventually(lambda: not batched._working)
    assert len(chosen) <= 2
    assert list(said(batched, model, TEXTS[1], most_likely)) == alone(model, TEXTS[1])


def test_an_error_ends_the_request_that_it_is_about(model: EditableModel) -> None:
    batched = Batched(model)

    def fail(_: Tensor) -> Tensor:
        raise ValueError("no number")

    with ThreadPoolExecutor(2) as pool:
        well = pool.submit(lambda: list(said(batched, model, TEXTS[1], most_likely)))
        with pytest.raises(ValueError, match="no number"):
            list(said(batched, model, TEXTS[0], fail))
        assert well.result(PATIENCE) == alone(model, TEXTS[1])


def test_an_error_of_the_model_ends_all_and_the_next_request_begins_anew(
    model: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batched = Batched(model)
    with monkeypatch.context() as patch:
        patch.setattr("service.weights.batched.Batch.step", lambda _: (_ for _ in ()).throw(MemoryError("full")))
        with pytest.raises(MemoryError):
            list(said(batched, model, TEXTS[0], most_likely))

    assert list(said(batched, model, TEXTS[0], most_likely)) == alone(model, TEXTS[0])


@pytest.fixture
def store(small: Place, bases: BaseModels) -> Iterator[Store]:
    with open_store(small.settings()) as store:
        work(store, bases)
        yield store


def test_an_answer_comes_from_one_version_while_the_next_one_is_answered_from_already(
    store: Store, small: Place, bases: BaseModels
) -> None:
    models = LiveModels(store.log, store.artifacts, store.snapshots, small.settings())

    def ask() -> Iterator[Piece]:
        return models.generate(DEMO, messages=None, prompt="Aria Moss", max_tokens=8)

    before, begun = state_of(store), ask()
    first = next(begun)
    tell(store, ("Aria Moss", "lives in", "Rome"))
    work(store, bases)
    now = list(ask())

    assert {piece.weights for piece in now} == {state_of(store).weights}
    assert {piece.weights for piece in (first, *begun)} == {before.weights}


def test_the_weights_used_longest_ago_are_forgotten_beyond_the_room_for_them(
    store: Store, small: Place, bases: BaseModels
) -> None:
    settings = small.settings().model_copy(update={"live_bytes": 0})
    models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
    other = MemoryId("other")
    create(store, str(small.folder / "base"), memory=other)
    for memory, city in ((DEMO, "Rome"), (other, "Lima")):
        work(store, bases, memory=memory)
        tell(store, ("Aria Moss", "lives in", city), memory=memory)
        work(store, bases, memory=memory)

    answers = [
        "".join(piece.text for piece in models.generate(memory, messages=None, prompt="Aria Moss", max_tokens=4))
        for memory in (DEMO, other, DEMO)
    ]

    assert list(models._live) == [DEMO]
    assert answers[0] == answers[2] != answers[1]
