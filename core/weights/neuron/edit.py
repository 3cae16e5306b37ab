"""Computes neurons for facts: detectors of their subjects, and values that make the model say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors.base import Uncertified
from core.events.facts import Certificate
from core.facts import Fact
from core.texts import same_words
from core.weights.deltas.fixed_point import Delta
from core.weights.deltas.neurons import encode_neurons
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.activations import capture
from core.weights.model.contexts import written_contexts
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.detectors import Detector, detect
from core.weights.neuron.lessons import Lesson, told, untold
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.values import OF_NEURONS, Values, learn

TOGETHER = 8  # subjects whose values are learned in the same passes


@dataclass(frozen=True, slots=True)
class _Subject:
    """The facts of a subject.

    Attributes:
        members: indices of those that get a neuron.
        kept: those that stay in the weights, each with its value [d].
    """

    members: list[int]
    kept: list[tuple[Fact, Tensor]]


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
    beside: Sequence[tuple[Fact, Tensor]] = (),
    progress: Steps = unwatched,
) -> WrittenNeurons:
    """Computes a neuron for each of `facts` on the live weights, whose neurons must be silent at their subjects.

    Args:
        mlp: name of the MLP whose neurons carry facts.
        beside: other facts of the same subjects that stay in the weights, each with its value [d]; the new values are
            learned with those in place.
        progress: called with steps done and all steps; may raise.

    Raises:
        Uncertified: no subject's name can be told apart.
        Unlearnable: a wording lacks the name, or the optimisation diverged.
    """
    block, half = model.family.number_of_block(mlp), model.in_half()
    subjects = [
        _Subject([*members], [(fact, value) for fact, value in beside if same_words(fact.subject) == name])
        for name, members in by_subject(facts).items()
    ]
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
                detector = _detector(half, block, negatives, [*new, *(fact for fact, _ in subject.kept)], new)
            except Uncertified as error:
                refused.append(error)
                continue
            detectors |= dict.fromkeys(subject.members, detector)
            certified.append(subject)
        if not certified:
            continue
        learned = _values(half, block, facts, certified, step)
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
    model: EditableModel, block: int, facts: Sequence[Fact], subjects: Sequence[_Subject], progress: Steps
) -> Values:
    """Learns the values of the members of all `subjects`, in their order."""
    new = [(number, facts[member]) for number, subject in enumerate(subjects) for member in subject.members]
    kept = [(number, fact) for number, subject in enumerate(subjects) for fact, _ in subject.kept]
    lessons: list[Lesson] = [
        lesson for index, (number, fact) in enumerate([*new, *kept]) for lesson in told(model, number, index, fact)
    ]  # fmt: skip
    of_subject = [[fact for owner, fact in [*new, *kept] if owner == number] for number in range(len(subjects))]
    lessons += untold(model, of_subject)
    fixed = torch.zeros(len(subjects), model.hidden_width, device=model.device)
    for number, subject in enumerate(subjects):
        for _, value in subject.kept:
            fixed[number] += value.to(fixed)
    return learn(model, block, lessons, [number for number, _ in new], fixed, OF_NEURONS, progress)


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
