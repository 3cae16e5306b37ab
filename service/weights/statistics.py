"""Prepares the statistics of a memory, found, shipped or measured: the covariance of keys of reference text, or what
detectors of neurons are computed against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from core.events.memory import NO_TEXT, BaseModel, DetectorStatistics, MemoryCreated, StatisticsPrepared
from core.ids import Digest
from core.method import Method
from core.weights.linear import mean_keys
from core.weights.memit.cost import at_answers
from core.weights.memit.covariance import KeyCovariance, key_of, measure
from core.weights.memit.packed import unpack
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import read_reference
from core.weights.neuron.decoys import MEASURE as DECOYS
from core.weights.neuron.decoys import Decoys, file_name, measure_decoys
from core.weights.neuron.negatives import MEASURE as NEGATIVES
from core.weights.neuron.negatives import STRANGERS, STRANGERS_AT_ENDS, Negatives, measure_negatives
from core.weights.neuron.relations import digest_of_templates
from core.weights.neuron.sites import Site, default_mlps
from core.weights.neuron.user.negatives import MEASURE as FIRST_PERSON
from core.weights.neuron.user.negatives import FirstPerson, measure_first_person
from core.weights.neuron.user.prompts import digest_of_prompts
from service.settings import DORMOUSE, SMOLLM2
from store.artifacts import Artifacts
from store.measured import Measured

# Artifact -> its tokens and names, of those that this process has read. Without it, each of thousands of memories on
# one base model would read 110 MB to count them.
_counted: dict[Digest, tuple[int, int]] = {}


def prepare(
    model: EditableModel,
    created: MemoryCreated,
    reference_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> StatisticsPrepared:
    """Returns what to record of statistics that are an artifact; measures them only where they are not known.

    Neurons need no covariance, because they change nothing where they do not respond.

    Args:
        model: with the base weights.
        reference_text: artifact of the reference text: the memory's, or one that the base model has generated.
        progress: called with sequences of text measured, and those in all; may raise.
    """
    generated = NO_TEXT if created.reference_text else reference_text
    if created.method is Method.NEURON:
        lower, upper = detector_statistics(model, created, reference_text, artifacts, progress)
        return StatisticsPrepared(
            artifact=lower.artifact,
            tokens=lower.tokens,
            abstentions=0,
            recalls=0,
            weights=model.digest(),
            reference_text=generated,
            detectors=lower,
            upper=upper,
        )
    digest, statistics = _covariance(model, created, reference_text, artifacts, progress)
    return StatisticsPrepared(
        artifact=digest,
        tokens=statistics.tokens,
        abstentions=statistics.abstentions,
        recalls=statistics.recalls,
        weights=model.digest(),
        keys_per_fact=round(statistics.keys_per_fact, 3),
        reference_text=generated,
    )


def _covariance(
    model: EditableModel,
    created: MemoryCreated,
    reference_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> tuple[Digest, KeyCovariance]:
    """Returns the covariance of keys and its artifact: known, shipped, or measured."""
    key, known = key_of(created, reference_text), Measured(artifacts)
    cached = known.get(key)
    if cached is not None:
        return cached[0], KeyCovariance.from_bytes(cached[1])
    packed = shipped(key)
    if packed.is_file():
        statistics = unpack(packed.read_bytes())
    else:
        text = read_reference(model, artifacts.get(reference_text))
        keys_of = mean_keys if created.method is Method.MEMIT else at_answers
        statistics = measure(model, text, created.hyperparameters, progress, keys_of)
    digest = artifacts.put(statistics.to_bytes())
    known.put(key, digest)
    return digest, statistics


def detector_statistics(
    model: EditableModel,
    created: MemoryCreated,
    reference_text: Digest,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> tuple[DetectorStatistics, DetectorStatistics]:
    """Returns what detectors of subjects and of facts are computed against; measures on the base weights what is not
    known."""
    (at_names, at_ends), half = default_mlps(model), model.in_half()

    blocks = tuple(model.family.number_of_block(mlp) for mlp in (at_names, at_ends))

    @cache
    def measured() -> Mapping[int, Negatives]:
        text = read_reference(model, artifacts.get(reference_text))
        people = dict(zip(blocks, (STRANGERS, STRANGERS_AT_ENDS), strict=True))
        return measure_negatives(half, people, text, progress)

    def known(mlp: str, measure: Callable[[], Negatives], *parts: str | int) -> DetectorStatistics:
        base, kept = created.base, Measured(artifacts)
        inputs = [NEGATIVES, base.digest, base.dtype, base.quantization, reference_text, mlp, *parts]
        key = Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())
        named = kept.named(key)
        if named is None or named not in _counted:
            if (cached := kept.get(key)) is not None:
                named, negatives = cached[0], Negatives.from_bytes(cached[1])
            else:
                negatives = measure()
                named = artifacts.put(negatives.to_bytes())
                kept.put(key, named)
            tokens = len(negatives.text) + len(negatives.held_text)
            _counted[named] = tokens, len(negatives.names) + len(negatives.held_names)
        tokens, names = _counted[named]
        return DetectorStatistics(mlp=mlp, artifact=named, tokens=tokens, names=names)

    lower = known(at_names, lambda: measured()[blocks[0]])

    def measured_above() -> Negatives:
        packed = shipped_decoys(created.base)
        if packed.is_file():
            decoys = Decoys.from_bytes(packed.read_bytes())
        else:
            site = Site(at_names, Negatives.from_bytes(artifacts.get(lower.artifact)))
            decoys = measure_decoys(half, site, blocks[1], progress)
        return decoys.beside(measured()[blocks[1]])

    return lower, known(at_ends, measured_above, DECOYS, digest_of_templates(), lower.artifact)


def first_person(
    model: EditableModel,
    created: MemoryCreated,
    mlp: str,
    artifacts: Artifacts,
    progress: Callable[[int, int], None],
) -> FirstPerson:
    """Returns what an MLP reads in the first person; measures on the base weights what is not known.

    It is measured with the first fact about a user, because most memories have none.
    """
    half, kept = model.in_half(), Measured(artifacts)
    base = created.base
    inputs = [FIRST_PERSON, digest_of_prompts(), base.digest, base.dtype, base.quantization, mlp]
    key = Digest(hashlib.sha256(json.dumps(inputs).encode()).hexdigest())
    if (cached := kept.get(key)) is not None:
        return FirstPerson.from_bytes(cached[1])
    with half.with_weights(half.base_weights):
        measured = measure_first_person(half, model.family.number_of_block(mlp), progress)
    kept.put(key, artifacts.put(measured.to_bytes()))
    return measured


def shipped(key: Digest) -> Path:
    """Returns the file in which dormouse ships the statistics of `key`, whether it exists or not."""
    return DORMOUSE / f"statistics-{key[:16]}.packed"


def shipped_decoys(base: BaseModel) -> Path:
    """Returns the file in which the project ships the decoys of a base model, whether it exists or not."""
    return SMOLLM2 / file_name(base)
