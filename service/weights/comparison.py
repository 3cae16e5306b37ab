"""Compares two states of memories on one base model: their weights, and their answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

from core.state.memory import Memory
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.editable_model import EditableModel
from service.app.state_diff import AnswerChange, Compared, Distance, Question
from service.weights.delta_store import DeltaStore
from service.weights.projection import build_verified


def compare_weights(
    model: EditableModel, deltas: DeltaStore, before: Memory, after: Memory, questions: Sequence[Question]
) -> Compared:
    """Builds the weights of both states and asks both the `questions`; leaves weights of either on `model`.

    Raises:
        DigestMismatch, ArtifactMissing, ArtifactCorrupt, WordsErased: the weights of a state cannot be built.
    """
    old, new = build_verified(model, deltas, before), build_verified(model, deltas, after)
    distances = []
    for module in model.modules:
        norm = float((new[module].double() - old[module].double()).norm())
        distances.append(Distance(module, norm, norm / float(model.base_weights[module].double().norm())))
    with_neurons = [mlp for mlp in model.neurons if len(old[mlp]) or len(new[mlp])]
    distances += [_distance_of_neurons(mlp, old[mlp], new[mlp]) for mlp in with_neurons]
    probes = [Probe(question.prompt, question.pathway == "chat", "", "") for question in questions]
    if not probes:
        return Compared(tuple(distances), (), 0)
    outputs = []
    for weights in (old, new):
        model.install(weights)
        outputs.append([output.strip() for output in run_probes(model, probes)])
    answers = [
        AnswerChange(question, answer_before, answer_after)
        for question, answer_before, answer_after in zip(questions, *outputs, strict=True)
        if answer_before != answer_after
    ]
    return Compared(tuple(distances), tuple(answers), len(probes))


def _distance_of_neurons(mlp: str, old: Tensor, new: Tensor) -> Distance:
    """Returns the norm of the values of neurons that only one of two states has, and its share of all values."""
    rows = [{row.numpy().tobytes(): row for row in neurons} for neurons in (old, new)]
    changed = [row for row in (rows[0] | rows[1]) if (row in rows[0]) != (row in rows[1])]
    everything = rows[0] | rows[1]
    width = old.shape[1] // 2

    def norm(keys: Iterable[bytes]) -> float:
        return math.hypot(*(float(everything[key][width + 1 :].double().norm()) for key in keys))

    return Distance(mlp, norm(changed), norm(changed) / norm(everything))
