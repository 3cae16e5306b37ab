"""The statistics of a memory: those that another memory of its kind has, those that came with its base, or measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.events.memory import MemoryCreated, StatisticsPrepared
from core.ids import Digest
from core.weights.memit.covariance import KeyCovariance, key_of, measure
from core.weights.memit.packed import unpack
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_ordinary
from service.settings import DORMOUSE
from store.artifacts import Artifacts
from store.measured import Measured


def prepare(
    model: EditableModel, created: MemoryCreated, artifacts: Artifacts, progress: Callable[[int, int], None]
) -> StatisticsPrepared:
    """What to record; the statistics are durable in the artifacts by then. Measures only what nobody has measured.

    Args:
        subject: pristine.
        progress: of measuring, in sequences of text; may raise.
    """
    key, known = key_of(created), Measured(artifacts)
    cached = known.get(key)
    if cached is not None:
        return _recorded(cached[0], KeyCovariance.from_bytes(cached[1]), model)
    packed = shipped(key)
    if packed.is_file():
        statistics = unpack(packed.read_bytes())
    else:
        text = read_ordinary(model, artifacts.get(created.ordinary_text))
        statistics = measure(model, text, created.hyperparameters, progress)
    digest = artifacts.put(statistics.to_bytes())
    known.put(key, digest)
    return _recorded(digest, statistics, model)


def shipped(key: Digest) -> Path:
    """Where statistics that come with dormouse are, or would be; other bases and other settings have other keys."""
    return DORMOUSE / f"statistics-{key[:16]}.packed"


def _recorded(artifact: Digest, statistics: KeyCovariance, model: EditableModel) -> StatisticsPrepared:
    return StatisticsPrepared(
        artifact=artifact,
        tokens=statistics.tokens,
        abstentions=statistics.abstentions,
        recalls=statistics.recalls,
        weights=model.digest(),
        keys_per_fact=round(statistics.keys_per_fact, 3),
    )
