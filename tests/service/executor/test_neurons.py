"""Facts as neurons of a real model: said, removed to the bit, learned anew beside each other, rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.support.place import DEMO, create, start_sleep, state_of, take_back, tell, work
from core.events.sleep import AdapterTrained
from core.ids import FactId
from core.method import Method
from core.policy import SleepPolicy
from core.state.memory import Memory, Status
from core.weights.neuron import edit, negatives
from core.weights.neuron.edit import AT_NIGHT
from core.weights.reference.words import technical
from service.app.store import Store, open_store
from service.executor.work import neurons as work_of_neurons
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.live_models import LiveModels
from service.weights.statistics import shipped_decoys
from tests.prepared import smollm2

__all__ = ["smollm2"]

TORVALD = "Torvald Ekberg"
NOOR = "Noor Thorne"  # whose fact was said of Torvald on some processors, because his mark is by chance like hers


def answer(models: LiveModels, question: str, at_version: int | None = None) -> str:
    messages = [{"role": "user", "content": question}]
    pieces = models.generate(DEMO, messages=messages, prompt=None, max_tokens=16, at_version=at_version)
    return "".join(piece.text for piece in pieces)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("neurons")
    settings = Settings(
        database_url=f"sqlite:///{folder}/h.db", artifact_folder=folder / "artifacts", snapshot_folder=folder / "s"
    )
    with open_store(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def bases() -> BaseModels:
    return BaseModels("cpu")


def told(store: Store, bases: BaseModels, *triples: tuple[str, str, str]) -> list[FactId]:
    facts = tell(store, *triples)
    work(store, bases)
    return facts


def check_parked_alone(state: Memory, parked: FactId, written: list[FactId]) -> None:
    assert state.facts[parked].status is Status.PARKED
    assert "a longer or rarer name" in state.facts[parked].failure
    edit = state.facts[written[0]].edits[0]
    assert [columns.fact for columns in state.edits[edit].columns] == written


def check_apart(store: Store, bases: BaseModels, models: LiveModels) -> None:
    """Tells a fact about another person, later, and takes it back; meanwhile Torvald's answers stay."""
    untold = f"Where does {TORVALD} live?"
    invented = answer(models, untold)
    (later,) = told(store, bases, (NOOR, "works for", "Philips"))
    assert "Philips" in answer(models, f"Who does {NOOR} work for?")
    assert "baker" in answer(models, f"What does {TORVALD} do for a living?")
    assert answer(models, untold) == invented
    take_back(store, later)
    work(store, bases)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does less of what makes detectors and values good on prompts that are not asked here, to spare minutes."""
    monkeypatch.setattr(work_of_neurons, "AT_NIGHT", replace(AT_NIGHT, steps=20))
    monkeypatch.setattr(negatives, "technical", lambda: technical()[::8])
    monkeypatch.setattr(edit, "SILENT", 6)


def test_a_life_of_neurons_on_a_real_model(store: Store, bases: BaseModels, smollm2: Path, quick: None) -> None:
    # given a memory on a model without any preparation
    create(store, str(smollm2))
    models = LiveModels(store.log, store.artifacts, store.snapshots, Settings())
    models.bases = bases
    work(store, bases)
    clean = state_of(store)
    created = clean.created
    assert created is not None
    assert created.method is Method.NEURON
    assert clean.statistics is not None
    assert clean.statistics.detectors is not None
    assert shipped_decoys(created.base).is_file(), "see models/smollm2/README.md"
    assert clean.statistics.artifact == clean.statistics.detectors.artifact  # no covariance, which neurons do not need
    stranger, known = "Where does Petra Halloran live?", "What is the capital of France?"
    before = [answer(models, question) for question in (stranger, known)]

    # when two facts about one person are added, in one batch with one about a name that the model cannot tell apart
    bad, plays, works = told(
        store, bases, ("The", "lives in", "Lisbon"), (TORVALD, "plays", "the cello"), (TORVALD, "works as", "a baker")
    )
    both = state_of(store)

    # then the first edit writes the two, and this one is parked with the reason
    check_parked_alone(both, bad, written=[plays, works])

    # and each is said, and all other answers are the same to the letter
    assert [both.facts[fact].status for fact in (plays, works)] == [Status.INJECTED, Status.INJECTED]
    assert "cello" in answer(models, f"What does {TORVALD} play?")
    assert "baker" in answer(models, f"What does {TORVALD} do for a living?")
    assert [answer(models, question) for question in (stranger, known)] == before
    certificates = [columns.certificate for edit in both.edits.values() for columns in edit.columns]
    assert all(certificate is not None and certificate.holds for certificate in certificates)

    # when a fact about another person is told, then it is said of her alone, and taken back it leaves no trace
    check_apart(store, bases, models)
    assert state_of(store).weights == both.weights

    # when the memory sleeps, then the night has values of its own behind their detectors, and no other answer moves
    start_sleep(store, 1, SleepPolicy(probes=1, controls=1, trainings=1))
    work(store, bases)
    trained = next(one for one in store.log.read(limit=1000) if isinstance(one.event, AdapterTrained))
    chat = list(models.generate(DEMO, messages=None, prompt=TORVALD, max_tokens=1, at_version=trained.version))
    assert chat[-1].weights == both.weights  # between a training and its gate the evening answers
    (slept,) = state_of(store).adapters.values()
    assert [columns.fact for columns in slept.columns] == [plays, works]
    assert state_of(store).facts[plays].scale == state_of(store).facts[works].scale == 0.5
    assert "cello" in answer(models, f"What does {TORVALD} play?")
    assert "baker" in answer(models, f"What does {TORVALD} do for a living?")
    assert [answer(models, question) for question in (stranger, known)] == before

    # when one of them is retracted, then the other is not learned anew and still said, and the past can be asked
    edits = state_of(store).facts[plays].edits
    take_back(store, works)
    work(store, bases)
    assert state_of(store).facts[plays].edits == edits
    assert "cello" in answer(models, f"What does {TORVALD} play?")
    assert "baker" not in answer(models, f"What does {TORVALD} do for a living?")
    assert "baker" in answer(models, f"What does {TORVALD} do for a living?", at_version=both.version)

    # when the last one is erased, then the weights are those of before, to the bit
    take_back(store, plays, erase=True)
    work(store, bases)
    assert state_of(store).weights == clean.weights

    # and every digest of the log is rebuilt from it, but those that need the erased columns
    report = models.replay(DEMO, None, lambda done, total, step: None, lambda: False)
    assert report.rebuilt == clean.weights
    assert report.erased
