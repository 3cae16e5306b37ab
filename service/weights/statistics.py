"""Prepares the statistics of a memory, which are the covariance of ordinary keys: found, shipped or measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.events.memory import NO_TEXT, MemoryCreated, StatisticsPrepared
from core.ids import Digest
from core.weights.memit.covariance import KeyCovariance, key_of, measure
from core.weights.memit.packed import unpack
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_ordinary
from service.settings import DORMOUSE
from store.artifacts import Artifacts
from store.measured import Measured


def prepare(
    model: EditableModel,
    created: MemoryCreated,
    ordinary_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> StatisticsPrepared:
    """Returns what to record of statistics that are an artifact; measures them only where they are not known.

    Args:
        model: with the base weights.
        ordinary_text: artifact of the reference text: the memory's, or one that the base model has generated.
        progress: called with sequences of text measured, and those in all; may raise.
    """
    key, known = key_of(created, ordinary_text), Measured(artifacts)
    generated = NO_TEXT if created.ordinary_text else ordinary_text
    cached = known.get(key)
    if cached is not None:
        return _recorded(cached[0], KeyCovariance.from_bytes(cached[1]), model, generated)
    packed = shipped(key)
    if packed.is_file():
        statistics = unpack(packed.read_bytes())
    else:
        text = read_ordinary(model, artifacts.get(ordinary_text))
        statistics = measure(model, text, created.hyperparameters, progress)
    digest = artifacts.put(statistics.to_bytes())
    known.put(key, digest)
    return _recorded(digest, statistics, model, generated)


def shipped(key: Digest) -> Path:
    """Returns the file in which dormouse ships the statistics of `key`, whether it exists or not."""
    return DORMOUSE / f"statistics-{key[:16]}.packed"


def _recorded(
    artifact: Digest, statistics: KeyCovariance, model: EditableModel, generated: Digest
) -> StatisticsPrepared:
    return StatisticsPrepared(
        artifact=artifact,
        tokens=statistics.tokens,
        abstentions=statistics.abstentions,
        recalls=statistics.recalls,
        weights=model.digest(),
        keys_per_fact=round(statistics.keys_per_fact, 3),
        ordinary_text=generated,
    )
