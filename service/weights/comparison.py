"""Compares two states of memories on one base model: their weights, and their answers."""

from __future__ import annotations

from collections.abc import Sequence

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
    for module, base in model.base_weights.items():
        norm = float((new[module].double() - old[module].double()).norm())
        distances.append(Distance(module, norm, norm / float(base.double().norm())))
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
