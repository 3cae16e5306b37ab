"""The life of a memory whose method is `neuron`, for a golden log.

Random weights tell no names apart, so that no detector on them would be certified, and few of their facts would be
learned. In this life each detector is the mean of what its subject's name reads, its certificate is made up, and facts
count as learned whatever the model says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import torch
from torch import Tensor

from core.decide.commands import CreateMemory
from core.events.facts import Certificate
from core.events.memory import MemoryCreated
from core.facts import Fact
from core.ids import MemoryId
from core.policy import Training
from core.weights.model.editable_model import EditableModel
from core.weights.neuron import decoys, edit, marks, negatives, relations
from core.weights.neuron.asked import FactDetectors
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.detectors import Detector, measure
from core.weights.neuron.lessons import Lesson
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import Relations
from core.weights.neuron.sites import Site
from core.weights.neuron.strangers import Strangers
from service.app.forks import fork
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.executor.work import neurons, probing
from service.weights.base_models import BaseModels
from tests.prepared import CAUSE, DEMO, QUICK, put_in_place, start_sleep, take_back, tell, work

FORK = MemoryId("fork")
LOW, HIGH = 0.5, 0.75  # responses up to which a neuron is silent, and from which on it responds fully


def live(store: Store, created: MemoryCreated) -> None:
    """A life with neurons: facts about one person and others, superseded, retracted, erased; a night, and a fork."""
    states, bases = MemoryRepository(store.log, store.snapshots), BaseModels("cpu")
    training = Training(rank=4, steps=4, learning_rate=2e-2, batch=4, rehearsal=2, divergence_weight=0.1, enough=0.0)
    night = replace(QUICK, training=training, scales=(1.0, 0.5, 0.0), trainings=1)
    with by_hand():
        states.execute(DEMO, lambda _: CreateMemory(memory=DEMO, created=created), CAUSE)
        aria = [("Aria Moss", "lives in", "Rome"), ("Aria Moss", "plays", "the cello"), ("Aria Moss", "owns", "a dog")]
        lives, plays, _ = tell(store, *aria)
        work(store, bases)
        bo, cy = tell(store, ("Bo Lind", "lives in", "Łódź"), ("Cy Ames", "speaks", "日本語"))
        work(store, bases)
        put_in_place(store, lives, "Lima")
        take_back(store, plays)
        take_back(store, cy, erase=True)
        work(store, bases)
        start_sleep(store, 0, QUICK, "nap")
        work(store, bases)
        start_sleep(store, 1, night)  # after which half of each neuron is in the weights
        work(store, bases)
        put_in_place(store, bo, "Bonn")
        tell(store, ("Gil Hart", "lives in", "Bonn"))
        work(store, bases)
        fork(store, states, FORK, DEMO, None, CAUSE, retries=0)
        tell(store, ("Ida Vane", "lives in", "Oslo"), memory=FORK)
        work(store, bases, memory=FORK)


@contextmanager
def by_hand() -> Iterator[None]:
    """Writes neurons by detectors that need no certificate, and takes every fact for learned."""
    with (
        patch.object(edit, "detect", _detector),
        patch.object(decoys, "_detector", _decoy),
        patch.object(edit, "hear", _heard),
        patch.object(decoys, "DECOYS", 1),
        patch.object(marks, "STEPS", 4),
        patch.object(relations, "NEAR", 10),
        patch.object(neurons, "unlearned", lambda facts, said: None),
        patch.object(probing, "passes", lambda probes, share: True),
        patch.object(negatives, "STRANGERS", 8),
    ):
        yield


def _heard(
    model: EditableModel,
    upper: int,
    against: Negatives,
    strangers: Strangers,
    others: Relations,
    fact: Fact,
    told: Sequence[Lesson],
    rows: Sequence[Tensor],
    elsewhere: Sequence[Tensor],
    told_together: Sequence[Fact],
) -> FactDetectors:
    return heard_by_hand(against, told, rows)


def heard_by_hand(against: Negatives, told: Sequence[Lesson], rows: Sequence[Tensor]) -> FactDetectors:
    """Returns detectors that respond to what ends as the lessons of a fact do."""
    chats = [lesson.context.chat for lesson in told]
    detectors = []
    for kind in (False, True):
        own = [row[0] for row, chat in zip(rows, chats, strict=True) if chat is kind]
        detectors.append(_toward(torch.stack(own) - against.mean, against.mean))
    return FactDetectors(*detectors)


def _detector(
    model: EditableModel, block: int, against: Negatives, subject: str, beginnings: Beginnings
) -> Detector:  # fmt: skip
    return _toward(measure(model, block, against.mean, subject, beginnings).named, against.mean)


def _decoy(model: EditableModel, block: int, lower: Site, name: str, beginnings: Beginnings) -> Detector:
    return _detector(model, block, lower.negatives, name, beginnings)


def _toward(own: Tensor, mean: Tensor) -> Detector:
    a = own.mean(0)
    a /= (own @ a).mean()
    certificate = Certificate(own=HIGH, others=LOW, low=LOW, high=HIGH, false_fires=0.0)
    return Detector(a / (HIGH - LOW), -(float(mean @ a) + LOW) / (HIGH - LOW), 1.0, certificate)
