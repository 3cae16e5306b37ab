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


@dataclass(frozen=True, slots=True)
class WrittenNeurons:
    """Neurons of a batch of facts, one column each, in their order.

    Attributes:
        delta: the neurons.
        certificates: per fact, of its subject's detector.
        responses: per fact, mean response of the detector at the subject's name, 0 to 1.
        lengths: per fact, norm of the value relative to the hidden state's.
    """

    delta: Delta
    certificates: tuple[Certificate, ...]
    responses: tuple[float, ...]
    lengths: tuple[float, ...]


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
        Uncertified: a subject's name cannot be told apart.
        Unlearnable: a wording lacks the name, or the optimisation diverged.
    """
    block, half, steps = model.family.number_of_block(mlp), model.in_half(), OF_NEURONS.steps
    groups = by_subject(facts)
    detectors: dict[str, Detector] = {}
    values = torch.zeros(len(facts), model.hidden_width)
    lengths = [0.0] * len(facts)
    for number, (subject, members) in enumerate(groups.items()):
        new = [facts[member] for member in members]
        kept = [(fact, value) for fact, value in beside if same_words(fact.subject) == subject]

        def step(done: int, _: int, before: int = number * steps) -> None:
            progress(before + done, steps * len(groups))

        step(0, steps)
        detectors[subject] = _detector(half, block, negatives, [*new, *(fact for fact, _ in kept)], new)
        learned = _values(half, block, new, kept, step)
        for place, member in enumerate(members):
            values[member] = learned.values[place].cpu()
            lengths[member] = float(learned.length[place])
    of_fact = [detectors[same_words(fact.subject)] for fact in facts]
    w, b = torch.stack([detector.w for detector in of_fact]), torch.tensor([detector.b for detector in of_fact])
    return WrittenNeurons(
        Delta({mlp: encode_neurons(w, b, values)}),
        tuple(detector.certificate for detector in of_fact),
        tuple(detector.response for detector in of_fact),
        tuple(lengths),
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
    model: EditableModel, block: int, new: Sequence[Fact], kept: Sequence[tuple[Fact, Tensor]], progress: Steps
) -> Values:
    everything = [*new, *(fact for fact, _ in kept)]
    lessons: list[Lesson] = [
        lesson for number, fact in enumerate(everything) for lesson in told(model, 0, number, fact)
    ]  # fmt: skip
    lessons += untold(model, 0, everything)
    fixed = torch.zeros(1, model.hidden_width, device=model.device)
    for _, value in kept:
        fixed += value.to(fixed)
    return learn(model, block, lessons, [0] * len(new), fixed, OF_NEURONS, progress)


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
