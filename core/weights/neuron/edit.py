"""Computes neurons for facts: detectors of their subjects, and values that make the model say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from core.errors.base import Uncertified
from core.events.facts import Certificate
from core.facts import Fact
from core.ids import FactId
from core.library import library
from core.texts import same_words
from core.weights.deltas.fixed_point import Delta, Factor, encode
from core.weights.deltas.neurons import encode_neurons
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.activations import capture
from core.weights.model.contexts import written_contexts
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.detectors import Detector, detect
from core.weights.neuron.lessons import RELATIONS, Lesson, told, untold
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.values import AT_NIGHT, OF_NEURONS, Search, Values, learn

TOGETHER = 8  # subjects whose values are learned in the same passes


@dataclass(frozen=True, slots=True)
class _Subject:
    """The facts of a subject.

    Attributes:
        members: indices of those that get a value.
        kept: those that stay as they are.
        fixed: [d] sum of the values that stand at its name already.
    """

    members: list[int]
    kept: list[Fact]
    fixed: Tensor


@dataclass(frozen=True, slots=True)
class Relearned:
    """Neurons with further values, one column for each fact, and how they were learned.

    Attributes:
        lengths: per fact, norm of the value relative to the hidden state's.
        before, loss: per fact, as in `Values`.
        divergence: as in `Values`, the mean of its parts.
        steps: largest number of Adam steps.
    """

    delta: Delta
    lengths: tuple[float, ...]
    before: tuple[float, ...]
    loss: tuple[float, ...]
    divergence: float
    steps: int


@dataclass(frozen=True, slots=True)
class WrittenNeurons:
    """Neurons of those facts of a batch whose subjects are told apart, one column each, in their order.

    Attributes:
        facts: indices of these facts in the batch.
        refused: of all other subjects.
        delta: the neurons.
        certificates: per fact, of its subject's detector.
        responses: per fact, mean response of the detector at the subject's name, 0 to 1.
        lengths: per fact, norm of the value relative to the hidden state's.
    """

    facts: tuple[int, ...]
    refused: tuple[Uncertified, ...]
    delta: Delta
    certificates: tuple[Certificate, ...]
    responses: tuple[float, ...]
    lengths: tuple[float, ...]

    def only(self, places: Sequence[int]) -> WrittenNeurons:
        """Returns the neurons of some of `facts`, given by their places there."""
        return WrittenNeurons(
            tuple(self.facts[place] for place in places),
            self.refused,
            self.delta.select(list(places)),
            tuple(self.certificates[place] for place in places),
            tuple(self.responses[place] for place in places),
            tuple(self.lengths[place] for place in places),
        )


def compute_neurons(
    model: EditableModel,
    mlp: str,
    negatives: Negatives,
    facts: Sequence[Fact],
    beside: Sequence[Fact] = (),
    in_force: Mapping[FactId, Tensor] = MappingProxyType({}),
    progress: Steps = unwatched,
) -> WrittenNeurons:
    """Computes a neuron for each of `facts` on the live weights, whose neurons must be silent at their subjects.

    Args:
        mlp: name of the MLP whose neurons carry facts.
        beside: other facts of the same subjects that stay in the weights.
        in_force: values [d] that stand in the weights for some of all these facts; the new values are learned with
            those in place.
        progress: called with steps done and all steps; may raise.

    Raises:
        Uncertified: no subject's name can be told apart.
        Unlearnable: a wording lacks the name, or the optimisation diverged.
    """
    block, half = model.family.number_of_block(mlp), model.in_half()
    subjects = _subjects(model, facts, beside, in_force)
    parts = [subjects[start : start + TOGETHER] for start in range(0, len(subjects), TOGETHER)]
    detectors: dict[int, Detector] = {}
    refused = list[Uncertified]()
    values = torch.zeros(len(facts), model.hidden_width)
    lengths = torch.zeros(len(facts))
    for number, part in enumerate(parts):

        def step(done: int, steps: int, before: int = number) -> None:
            progress(before * steps + done, steps * len(parts))

        step(0, OF_NEURONS.steps)
        certified = []
        for subject in part:
            new = [facts[member] for member in subject.members]
            try:
                detector = _detector(half, block, negatives, [*new, *subject.kept], new)
            except Uncertified as error:
                refused.append(error)
                continue
            detectors |= dict.fromkeys(subject.members, detector)
            certified.append(subject)
        if not certified:
            continue
        learned = _values(half, block, facts, certified, OF_NEURONS, RELATIONS, step)
        members = [member for subject in certified for member in subject.members]
        values[members], lengths[members] = learned.values.cpu(), learned.length.cpu()
    if not detectors:
        raise refused[0]
    written = sorted(detectors)
    of_fact = [detectors[member] for member in written]
    w, b = torch.stack([detector.w for detector in of_fact]), torch.tensor([detector.b for detector in of_fact])
    return WrittenNeurons(
        tuple(written),
        tuple(refused),
        Delta({mlp: encode_neurons(w, b, values[written])}),
        tuple(detector.certificate for detector in of_fact),
        tuple(detector.response for detector in of_fact),
        tuple(lengths[written].tolist()),
    )


def relearn_values(
    model: EditableModel,
    mlp: str,
    detectors: Factor,
    facts: Sequence[Fact],
    beside: Sequence[Fact],
    in_force: Mapping[FactId, Tensor],
    progress: Steps = unwatched,
) -> Relearned:
    """Learns a further value for each of `facts`, longer and from more lessons than when it was added.

    The live weights must be silent at the subjects of the facts.

    Args:
        detectors: [d + 1, facts] of the facts, as stored.
        beside, in_force: as in `compute_neurons`.

    Raises:
        Unlearnable: the optimisation diverged.
    """
    block, half = model.family.number_of_block(mlp), model.in_half()
    subjects = _subjects(model, facts, beside, in_force)
    parts = [subjects[start : start + TOGETHER] for start in range(0, len(subjects), TOGETHER)]
    values = torch.zeros(len(facts), model.hidden_width)
    measured = torch.zeros(3, len(facts))  # lengths, losses before, losses
    divergences, most = list[float](), 0
    for number, part in enumerate(parts):

        def step(done: int, steps: int, before: int = number) -> None:
            progress(before * steps + done, steps * len(parts))

        learned = _values(half, block, facts, part, AT_NIGHT, len(library()), step)
        members = [member for subject in part for member in subject.members]
        values[members] = learned.values.cpu()
        measured[:, members] = torch.stack([learned.length.cpu(), learned.before, learned.loss])
        divergences, most = [*divergences, learned.divergence], max(most, learned.steps)
    lengths, before, loss = (tuple(row) for row in measured.tolist())
    divergence = sum(divergences) / len(divergences) if divergences else 0.0
    return Relearned(Delta({mlp: (encode(values.T), detectors)}), lengths, before, loss, divergence, most)


def _subjects(
    model: EditableModel, facts: Sequence[Fact], beside: Sequence[Fact], in_force: Mapping[FactId, Tensor]
) -> list[_Subject]:
    """Returns the subjects of `facts`, each with what else is said about it and what stands at its name already."""
    subjects = []
    for name, members in by_subject(facts).items():
        kept, fixed = [fact for fact in beside if same_words(fact.subject) == name], torch.zeros(model.hidden_width)
        for fact in (*kept, *(facts[member] for member in members)):
            if fact.id in in_force:
                fixed += in_force[fact.id]
        subjects.append(_Subject([*members], kept, fixed))
    return subjects


def by_subject(facts: Sequence[Fact]) -> Mapping[str, list[int]]:
    """Returns normalized subject -> indices of its facts."""
    groups: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        groups.setdefault(same_words(fact.subject), []).append(number)
    return groups


def _detector(
    model: EditableModel, block: int, negatives: Negatives, facts: Sequence[Fact], new: Sequence[Fact]
) -> Detector:
    detector = detect(model, block, negatives, facts[0].subject, facts)
    certificate = detector.certificate
    if not certificate.holds:
        raise Uncertified([fact.id for fact in new], facts[0].subject, certificate.own, certificate.others)
    return detector


def _values(
    model: EditableModel,
    block: int,
    facts: Sequence[Fact],
    subjects: Sequence[_Subject],
    search: Search,
    relations: int,
    progress: Steps,
) -> Values:
    """Learns the values of the members of all `subjects`, in their order."""
    new = [(number, facts[member]) for number, subject in enumerate(subjects) for member in subject.members]
    kept = [(number, fact) for number, subject in enumerate(subjects) for fact in subject.kept]
    lessons: list[Lesson] = [
        lesson for index, (number, fact) in enumerate([*new, *kept]) for lesson in told(model, number, index, fact)
    ]  # fmt: skip
    of_subject = [[fact for owner, fact in [*new, *kept] if owner == number] for number in range(len(subjects))]
    lessons += untold(model, of_subject, relations)
    fixed = torch.stack([subject.fixed for subject in subjects]).to(model.device)
    return learn(model, block, lessons, [number for number, _ in new], fixed, search, progress)


@torch.no_grad()
def predicted(model: EditableModel, facts: Sequence[Fact]) -> tuple[tuple[bool, ...], ...]:
    """Returns for each fact and each of its first wordings whether the live model predicts the whole target."""
    contexts = written_contexts(model, facts, ())
    seen = capture(model, contexts, share=True)
    wrong = {
        row for row, miss in zip(seen.rows.tolist(), (seen.predicted() != seen.targets).tolist(), strict=True) if miss
    }
    return tuple(
        tuple(row not in wrong for row, context in enumerate(contexts) if context.fact == number)
        for number in range(len(facts))
    )
