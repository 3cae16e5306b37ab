"""Prepares the statistics of a memory, the covariance of keys of reference text: found, shipped or measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.events.memory import NO_TEXT, DetectorStatistics, MemoryCreated, StatisticsPrepared
from core.ids import Digest
from core.method import Method
from core.weights.linear import mean_keys
from core.weights.memit.cost import at_answers
from core.weights.memit.covariance import KeyCovariance, key_of, measure
from core.weights.memit.packed import unpack
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_reference
from core.weights.neuron.negatives import MEASURE as NEGATIVES
from core.weights.neuron.negatives import Negatives, measure_negatives
from service.settings import DORMOUSE
from store.artifacts import Artifacts
from store.measured import Measured


def prepare(
    model: EditableModel,
    created: MemoryCreated,
    reference_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> StatisticsPrepared:
    """Returns what to record of statistics that are an artifact; measures them only where they are not known.

    Args:
        model: with the base weights.
        reference_text: artifact of the reference text: the memory's, or one that the base model has generated.
        progress: called with sequences of text measured, and those in all; may raise.
    """
    key, known = key_of(created, reference_text), Measured(artifacts)
    generated = NO_TEXT if created.reference_text else reference_text
    cached = known.get(key)
    if cached is not None:
        recorded = _recorded(cached[0], KeyCovariance.from_bytes(cached[1]), model, generated)
        return replace(recorded, detectors=_detectors(model, created, reference_text, artifacts, progress))
    packed = shipped(key)
    if packed.is_file():
        statistics = unpack(packed.read_bytes())
    else:
        text = read_reference(model, artifacts.get(reference_text))
        keys_of = mean_keys if created.method is Method.MEMIT else at_answers
        statistics = measure(model, text, created.hyperparameters, progress, keys_of)
    digest = artifacts.put(statistics.to_bytes())
    known.put(key, digest)
    recorded = _recorded(digest, statistics, model, generated)
    return replace(recorded, detectors=_detectors(model, created, reference_text, artifacts, progress))


def _detectors(
    model: EditableModel,
    created: MemoryCreated,
    reference_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> DetectorStatistics | None:
    """Returns what detectors of the memory are computed against; None where its method needs none."""
    if created.method is not Method.NEURON:
        return None
    mlp, known = default_mlp(model), Measured(artifacts)
    base = created.base
    inputs = [NEGATIVES, base.digest, base.dtype, base.quantization, reference_text, mlp]
    key = Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())
    cached = known.get(key)
    if cached is not None:
        digest, negatives = cached[0], Negatives.from_bytes(cached[1])
    else:
        text, block = read_reference(model, artifacts.get(reference_text)), model.family.number_of_block(mlp)
        negatives = measure_negatives(model.in_half(), block, text, progress)
        digest = artifacts.put(negatives.to_bytes())
        known.put(key, digest)
    tokens = len(negatives.text) + len(negatives.held_text)
    names = len(negatives.names) + len(negatives.held_names)
    return DetectorStatistics(mlp=mlp, artifact=digest, tokens=tokens, names=names)


def default_mlp(model: EditableModel) -> str:
    """Returns the MLP whose neurons carry facts: that of the block just above the middle.

    There the name has been read, and unseen wordings find a value more often than further down
    (docs/findings/real-models.md).
    """
    mlps = list(model.neurons)
    return mlps[min(round(0.53 * len(model.blocks)), len(mlps) - 1)]


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
        reference_text=generated,
    )
