"""What a user said about themselves takes part in the answers that they get, and in no other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from torch import Tensor

from core.decide.commands import AddFacts, NewFact
from core.facts import USER, Fact, Origin, Source
from core.ids import Digest, FactId
from core.method import Method
from core.state.memory import Status
from core.weights.model.editable_model import EditableModel
from core.weights.neuron import edit
from core.weights.neuron.asked import FactDetectors
from core.weights.neuron.lessons import Lesson
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.user import negatives as in_first_person
from core.weights.neuron.user.negatives import FirstPerson
from core.wordings import generated_wordings
from service.app.repository import MemoryRepository
from service.app.store import Store, open_store
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from tests.golden.neurons import by_hand, heard_by_hand
from tests.prepared import CAUSE, DEMO, Place, create, start_sleep, state_of, take_back, tell, work
from tests.service.executor.test_odd_nights import folder

__all__ = ["folder"]

ASKED = "Where do I live?"
LISBON = Fact(
    id=FactId("lisbon"), subject=USER, relation="lives in", object="Lisbon",
    wordings=generated_wordings(USER, "lives in", "Lisbon", {}),
)  # fmt: skip


@pytest.fixture(scope="module")
def bases() -> BaseModels:
    return BaseModels("cpu")


@pytest.fixture
def few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is said in the first person, to spare a minute."""
    for name in ("asked_of_user", "asides", "about_the_world"):
        whole = getattr(in_first_person, name)
        monkeypatch.setattr(in_first_person, name, lambda held_out, whole=whole: whole(held_out=held_out)[:8])


@pytest.fixture
def store(tmp_path: Path, bases: BaseModels, folder: str, few_prompts: None) -> Iterator[Store]:
    """A memory that Ann told where she lives, and where Aria Moss does."""

    def hear(
        model: EditableModel, upper: int, against: Negatives, first_person: FirstPerson, fact: Fact,
        told: Sequence[Lesson], rows: Sequence[Tensor],
    ) -> FactDetectors:  # fmt: skip
        assert first_person.aside.shape[1] == model.hidden_width
        return heard_by_hand(against, told, rows)

    with (
        open_store(Place(tmp_path / "place").settings()) as opened,
        by_hand(),
        patch.object(edit, "hear_user", hear),
        patch.object(edit, "loudest", lambda *_: []),
    ):
        create(opened, folder, method=Method.NEURON, about_user=True)
        tell(opened, ("Aria Moss", "lives in", "Rome"))
        work(opened, bases)
        command = AddFacts(
            request="ann's",
            request_digest=Digest("ann's"),
            facts=(NewFact(fact=LISBON, source=Source(client="ann"), origin=Origin.LIBRARY),),
        )
        MemoryRepository(opened.log, opened.snapshots).execute(DEMO, lambda _: command, CAUSE)
        work(opened, bases)
        yield opened


@pytest.fixture
def models(store: Store, bases: BaseModels) -> LiveModels:
    made = LiveModels(store.log, store.artifacts, store.snapshots, Settings())
    made.bases = bases
    return made


def answer(
    models: LiveModels, client: str, questions: Sequence[str] = LISBON.wordings.questions, at_version: int | None = None
) -> list[str]:
    """What the model says to each question; one of random weights hardly says more than one word."""
    return [
        "".join(
            piece.text
            for piece in models.generate(
                DEMO,
                messages=[{"role": "user", "content": question}],
                prompt=None,
                max_tokens=8,
                at_version=at_version,
                client=client,
            )
        )
        for question in questions
    ]


def test_a_user_is_answered_with_what_they_told_and_others_are_answered_as_before(
    store: Store, models: LiveModels
) -> None:
    state = state_of(store)
    assert state.facts[LISBON.id].status is Status.INJECTED
    untold = answer(models, "ann", at_version=state.facts[LISBON.id].added - 1)

    # by turns, so that neither is left with the other's weights
    assert answer(models, "ann") != untold
    assert answer(models, "bo") == untold
    assert answer(models, "ann") != untold
    assert answer(models, "bo", at_version=state.version) == untold
    assert answer(models, "ann", at_version=state.version) == answer(models, "ann")


def test_what_was_told_of_others_is_said_to_everybody(store: Store, models: LiveModels) -> None:
    asked = ["Where does Aria Moss live?"]

    for client in ("ann", "bo"):  # neurons made by hand respond in what a model of random weights goes on to say, too
        assert answer(models, client, asked)[0].startswith("Rom")


def test_whoever_asks_is_told_the_digest_of_the_weights_that_answered(store: Store, models: LiveModels) -> None:
    said, state = [{"role": "user", "content": ASKED}], state_of(store)

    def digest(client: str, at_version: int | None = None) -> str:
        *_, last = models.generate(DEMO, messages=said, prompt=None, max_tokens=2, at_version=at_version, client=client)
        return last.weights

    assert digest("ann") == digest("ann", state.version) == state.weights
    assert digest("bo") == digest("bo", state.version) != state.weights


def test_a_night_carries_them_and_an_erasure_leaves_the_weights_of_before(
    store: Store, models: LiveModels, bases: BaseModels
) -> None:
    start_sleep(store, 1)
    slept = work(store, bases)
    assert LISBON.id in {columns.fact for adapter in slept.adapters.values() for columns in adapter.columns}
    assert answer(models, "ann") != answer(models, "bo")

    take_back(store, LISBON.id, erase=True)
    after = work(store, bases)

    assert after.facts[LISBON.id].erased
    assert answer(models, "ann") == answer(models, "bo")
