"""Two states of memories on one base model: how far their weights are apart, and what they answer otherwise."""

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
    """Builds both, and asks both the `questions`; leaves the weights of one of them behind in `subject`.

    Raises:
        DigestMismatch, ArtifactMissing, ArtifactCorrupt, WordsErased: one of them cannot be built.
    """
    old, new = build_verified(model, deltas, before), build_verified(model, deltas, after)
    distances = []
    for module, pristine in model.base_weights.items():
        norm = float((new[module].double() - old[module].double()).norm())
        distances.append(Distance(module, norm, norm / float(pristine.double().norm())))
    probes = [Probe(one.prompt, one.pathway == "chat", "", "") for one in questions]
    said = []
    for weights in (old, new) if probes else ():
        model.install(weights)
        said.append([output.strip() for output in run_probes(model, probes)])
    answers = [AnswerChange(*one) for one in zip(questions, *said, strict=True) if one[1] != one[2]] if probes else []
    return Compared(tuple(distances), tuple(answers), len(probes))
