"""Computes neurons for facts: marks at their subjects' names, and where prompts end, values that say the facts.

Two MLPs have neurons. At the lower one the detector of a subject responds at its name and adds the mark. At the upper
one two detectors of each fact respond at the end of the prompts that ask for it, statements and questions, and add the
values. Facts share nothing but the mark of their subject. The detectors of one batch tell its facts apart; those
of other batches take no part, so that a memory without them has the same neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from core.errors.base import Uncertified
from core.events.facts import Certificate
from core.facts import USER, Fact, is_user
from core.texts import same_words
from core.weights.deltas.fixed_point import Delta, Factor, encode
from core.weights.deltas.neurons import encode_neurons, marks_of
from core.weights.memit.target_values import Steps, unwatched
from core.weights.model.activations import targets_predicted
from core.weights.model.contexts import written_wordings
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import marks_at
from core.weights.neuron.asked import FactDetectors, hear
from core.weights.neuron.beginnings import Beginnings
from core.weights.neuron.detectors import Detector, detect
from core.weights.neuron.lessons import Lesson, Place, told, untold
from core.weights.neuron.marks import learn_marks
from core.weights.neuron.relations import loudest_about, relations_about
from core.weights.neuron.sites import Site
from core.weights.neuron.strangers import Measured, behind
from core.weights.neuron.subjects import by_subject
from core.weights.neuron.user.hearing import hear_user, loudest
from core.weights.neuron.user.negatives import FirstPerson
from core.weights.neuron.values import Search, Values, capture_lessons, learn, read_in

TOGETHER = 8  # subjects whose marks, and facts whose values, are learned in the same passes
SILENT = 24  # prompts of either kind about other relations, the most like the fact, behind which nothing is said
LOUDEST = 12  # of these at night, the loudest
GOING_ON = 28  # tokens that the model goes on to say behind them

OF_EDITS = Search(
    steps=36, rate=0.12, decay=1e-3, clamp=4.0, kl_weight=0.15, rounds=6, told=10, untold=6, packed=True
)  # fmt: skip
AT_NIGHT = replace(OF_EDITS, steps=40, told=16, untold=8)


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a subject, as stored: U [d, 1] and V [d + 1, 1], and the certificate of its detector."""

    u: Factor
    v: Factor
    certificate: Certificate
    response: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Neurons that a fact has.

    Attributes:
        heard: its detectors.
        values: [2, d] the sums of its values for statements and for questions.
        lacking: [2, d] what these lack of the sums that answer now, with which further values begin.
    """

    heard: FactDetectors
    values: Tensor
    lacking: Tensor


class KeptValues(Protocol):
    """Keeps values that were learned, by the indices of their facts, until all of a batch are."""

    def get(self, part: Sequence[int]) -> Values | None: ...
    def put(self, part: Sequence[int], values: Values) -> None: ...


@dataclass(frozen=True, slots=True)
class Written:
    """Neurons of those facts of a batch whose subjects are told apart, in their order: two columns each.

    Attributes:
        facts: indices of these facts in the batch.
        refused: of all other subjects.
        delta: marks at the lower MLP, in the first column of each fact; values for statements and for questions at the
            upper one.
        marks: per fact, of its subject; None where that is the user, who has no name.
        heard: per fact, the certificates of its detectors, of statements and of questions.
        lengths: per fact, norm of the longer value relative to the hidden state's.
        before, loss, divergence, steps: as in `Values`.
    """

    facts: tuple[int, ...]
    refused: tuple[Uncertified, ...]
    delta: Delta
    marks: tuple[Mark | None, ...]
    heard: tuple[tuple[Certificate, Certificate], ...]
    lengths: tuple[float, ...]
    before: tuple[float, ...]
    loss: tuple[float, ...]
    divergence: float
    steps: int

    def only(self, places: Sequence[int]) -> Written:
        """Returns the neurons of some of `facts`, given by their places there."""
        columns = [column for place in places for column in (2 * place, 2 * place + 1)]
        return replace(
            self,
            facts=tuple(self.facts[place] for place in places),
            delta=self.delta.select(columns),
            marks=tuple(self.marks[place] for place in places),
            heard=tuple(self.heard[place] for place in places),
            lengths=tuple(self.lengths[place] for place in places),
            before=tuple(self.before[place] for place in places),
            loss=tuple(self.loss[place] for place in places),
        )


def compute_neurons(
    model: EditableModel,
    lower: Site,
    upper: Site,
    facts: Sequence[Fact],
    measured: Measured,
    marks: Mapping[str, Mark] = MappingProxyType({}),
    standing: Mapping[int, Standing] = MappingProxyType({}),
    first_person: FirstPerson | None = None,
    search: Search = OF_EDITS,
    progress: Steps = unwatched,
    kept: KeptValues | None = None,
) -> Written:
    """Computes neurons of `facts` on the live weights, which are without those that they have.

    Args:
        measured: what is known of the base model.
        marks: normalized subject -> its mark, of subjects that have facts in the weights.
        standing: index of a fact -> the neurons that it has, to which others are added behind the same detectors.
        first_person: what the upper MLP reads in the first person, for facts about the user.
        progress: called with steps done and all steps; may raise.
        kept: values of facts that have neurons, learned before the work was interrupted.

    Raises:
        Uncertified: no subject's name can be told apart.
        Unlearnable: a wording lacks the name, or the optimisation diverged.
    """
    half, groups = model.in_half(), dict(by_subject(facts))
    of_user = groups.pop(USER, [])
    known = {name: marks[name] for name in groups if name in marks}
    new = [name for name in groups if name not in known]
    made, refused = _marks(half, lower, upper, new, facts, measured.beginnings, progress)
    known |= made
    if not known and not of_user:
        raise refused[0]
    rows = marks_of([(mark.u, mark.v, 1.0) for mark in known.values()], half.hidden_width)
    told_together = [fact for fact in facts if same_words(fact.subject) in known]
    decoys = upper.negatives.decoys if len(upper.negatives.decoys) else rows[:0]
    written = sorted([*of_user, *(member for name in known for member in groups[name])])
    parts = [written[start : start + TOGETHER] for start in range(0, len(written), TOGETHER)]
    learned = list[tuple[list[FactDetectors], Values]]()
    with half.with_weights({marks_at(lower.mlp): torch.cat([rows, decoys])}):
        for number, part in enumerate(parts):

            def step(done: int, steps: int, before: int = number) -> None:
                progress(before * steps + done, steps * len(parts))

            keeps = kept if all(member in standing for member in part) else None
            if keeps is not None and (values := keeps.get(part)) is not None:
                learned.append(([standing[member].heard for member in part], values))
                continue
            learned.append(
                _at_ends(half, lower, upper, facts, part, measured, told_together, standing, first_person, search, step)
            )
            if keeps is not None:
                keeps.put(part, learned[-1][1])
    return _written(model, lower, upper, facts, written, refused, known, learned)


def _at_ends(
    model: EditableModel,
    lower: Site,
    upper: Site,
    facts: Sequence[Fact],
    part: Sequence[int],
    measured: Measured,
    told_together: Sequence[Fact],
    standing: Mapping[int, Standing],
    first_person: FirstPerson | None,
    search: Search,
    progress: Steps,
) -> tuple[list[FactDetectors], Values]:
    """Returns the detectors and the values of some of the facts, on the live weights, which hold their marks."""
    block, heard = model.family.number_of_block(upper.mlp), list[FactDetectors]()
    view, telling = model.at_block(block), [told(model, number, facts[member]) for number, member in enumerate(part)]
    captured = capture_lessons(view, [lesson for lessons in telling for lesson in lessons])
    read = iter(read_in(captured, [lesson for lessons in telling for lesson in lessons]))
    fixed, begin = torch.zeros(2, 2 * len(part), model.hidden_width)
    saying, keeping_silent = list[Lesson](), list[Lesson]()
    for number, member in enumerate(part):
        progress(0, search.steps)
        fact, rows = facts[member], list(islice(read, len(telling[number])))
        if member in standing:
            fixed[2 * number : 2 * number + 2] = standing[member].values
            begin[2 * number : 2 * number + 2] = standing[member].lacking
        known = standing[member].heard if member in standing else None
        if is_user(fact.subject):
            assert first_person is not None, "it is measured where a fact is about the user"
            pair = known or hear_user(model, block, upper.negatives, first_person, fact, telling[number], rows)
            silent, silent_rows = untold(model, block, loudest(model, first_person, fact, pair))
        elif known is not None:
            responding = {False: known.statements.w, True: known.questions.w}
            loud = loudest_about(model, upper.negatives, fact, responding, LOUDEST)
            pair, (silent, silent_rows) = known, untold(model, block, loud, GOING_ON, GOING_ON)
        else:
            marks = marks_at(lower.mlp)
            strangers = measured.strangers(model, marks, block, upper.negatives, fact)
            first = measured.first_wordings(model, marks, block, fact.subject)
            relations = relations_about(model, block, upper.negatives, fact, first, strangers.alike)
            silent, silent_rows = untold(model, block, relations.alike(SILENT), GOING_ON, GOING_ON)
            said = behind(silent, silent_rows)
            pair = hear(
                model, block, upper.negatives, strangers, relations, fact, telling[number], rows, said, told_together
            )
        heard.append(pair)
        saying += _placed(number, pair, telling[number], rows)
        keeping_silent += [_begun(lesson) for lesson in _placed(number, pair, silent, silent_rows) if lesson.places]
    kept = torch.tensor([bool(lesson.places) for lesson in saying])
    if not kept.any() and not keeping_silent:
        kept[0] = True  # no detector responds, so that nothing is learned
    captured = captured.only(kept.to(model.device))
    if keeping_silent:
        captured = captured.beside(capture_lessons(view, keeping_silent))
    lessons = [*(lesson for lesson, keep in zip(saying, kept.tolist(), strict=True) if keep), *keeping_silent]
    learners = [number // 2 for number in range(2 * len(part))]
    return heard, learn(model, block, lessons, learners, fixed, search, progress, begin, captured)


def _marks(
    model: EditableModel,
    lower: Site,
    upper: Site,
    names: Sequence[str],
    facts: Sequence[Fact],
    beginnings: Beginnings,
    progress: Steps,
) -> tuple[dict[str, Mark], list[Uncertified]]:
    """Returns the marks of new subjects, and of which subjects there is none."""
    block, groups = model.family.number_of_block(lower.mlp), by_subject(facts)
    detectors, refused = dict[str, Detector](), list[Uncertified]()
    for name in names:
        progress(0, 1)  # because a detector takes seconds, and the work may have been given up
        new = [facts[member] for member in groups[name]]
        detector = detect(model, block, lower.negatives, new[0].subject, beginnings)
        certificate = detector.certificate
        if certificate.holds:
            detectors[name] = detector
        else:
            refused.append(Uncertified([fact.id for fact in new], new[0].subject, certificate.own, certificate.others))
    made, certified = dict[str, Mark](), list(detectors)
    for start in range(0, len(certified), TOGETHER):
        part = certified[start : start + TOGETHER]
        subjects = [facts[groups[name][0]].subject for name in part]
        values = learn_marks(model, block, model.family.number_of_block(upper.mlp), subjects, progress).cpu()
        for name, value in zip(part, values, strict=True):
            detector = detectors[name]
            u, v = encode_neurons(detector.w[None], torch.tensor([detector.b]), value[None])
            made[name] = Mark(u, v, detector.certificate, detector.response)
    return made, refused


def _placed(
    number: int, heard: FactDetectors, lessons: Sequence[Lesson], rows: Sequence[Tensor]
) -> list[Lesson]:  # fmt: skip
    """Returns the `lessons` of a fact with the places where a detector responds, in some none; what follows matters."""
    placed = []
    for lesson, row in zip(lessons, rows, strict=True):
        places = tuple(
            Place(position, 2 * number + kind, float(response))
            for kind, detector in enumerate((heard.statements, heard.questions))
            for position, response in enumerate((row @ detector.w + detector.b).clamp(0, 1))
            if response > 0
        )
        first = min((place.position for place in places), default=0)
        placed.append(replace(lesson, learner=number, places=places, first=max(lesson.first, first)))
    return placed


def _begun(lesson: Lesson) -> Lesson:
    """Returns a lesson from its first place on; before it nothing changes."""
    begin = min(place.position for place in lesson.places)
    context = replace(lesson.context, start=lesson.context.start + begin, names=lesson.context.names[begin:])
    places = tuple(replace(place, position=place.position - begin) for place in lesson.places)
    return replace(lesson, context=context, places=places, first=max(lesson.first - begin, 0))


def _written(
    model: EditableModel,
    lower: Site,
    upper: Site,
    facts: Sequence[Fact],
    written: Sequence[int],
    refused: Sequence[Uncertified],
    marks: Mapping[str, Mark],
    learned: Sequence[tuple[list[FactDetectors], Values]],
) -> Written:
    of_fact = [marks.get(same_words(facts[member].subject)) for member in written]
    heard = [pair for pairs, _ in learned for pair in pairs]
    detectors = [detector for pair in heard for detector in (pair.statements, pair.questions)]
    w, b = torch.stack([detector.w for detector in detectors]), torch.tensor([detector.b for detector in detectors])
    values = torch.cat([values.values.cpu() for _, values in learned])
    lengths = torch.cat([values.length.cpu() for _, values in learned]).view(-1, 2).amax(1)
    measured = [(values.before[: len(pairs)], values.loss[: len(pairs)]) for pairs, values in learned]
    return Written(
        facts=tuple(written),
        refused=tuple(refused),
        delta=Delta(
            {
                marks_at(lower.mlp): _columns(of_fact, model.hidden_width),
                upper.mlp: encode_neurons(w, b, values),
            }
        ),
        marks=tuple(of_fact),
        heard=tuple((pair.statements.certificate, pair.questions.certificate) for pair in heard),
        lengths=tuple(lengths.tolist()),
        before=tuple(loss for before, _ in measured for loss in before.tolist()),
        loss=tuple(loss for _, last in measured for loss in last.tolist()),
        divergence=sum(values.divergence for _, values in learned) / len(learned),
        steps=max(values.steps for _, values in learned),
    )


def _columns(marks: Sequence[Mark | None], width: int) -> tuple[Factor, Factor]:
    """Returns U [d, 2 n] and V [d + 1, 2 n] of marks: each, then a column of zeros; both zeros without a mark."""
    u, v = encode(torch.zeros(width, 0)), encode(torch.zeros(width + 1, 0))
    for mark in marks:
        no_u, no_v = encode(torch.zeros(width, 1)), encode(torch.zeros(width + 1, 1))
        u = u.beside(no_u if mark is None else mark.u).beside(no_u)
        v = v.beside(no_v if mark is None else mark.v).beside(no_v)
    return u, v


def predicted(model: EditableModel, facts: Sequence[Fact]) -> tuple[tuple[bool, ...], ...]:
    """Returns for each fact and each of its first wordings whether the live model predicts the whole target."""
    lessons = [lesson for number, fact in enumerate(facts) for lesson in _first(model, number, fact)]
    return targets_predicted(model, [lesson.context for lesson in lessons], len(facts))


def _first(model: EditableModel, number: int, fact: Fact) -> list[Lesson]:
    """Returns the lessons in the wordings by which any method is judged (`written_wordings`)."""
    lessons, judged = told(model, number, fact), written_wordings(fact.wordings)
    statements = [lesson for lesson in lessons if not lesson.context.chat][: len(judged.statements)]
    return statements + [lesson for lesson in lessons if lesson.context.chat][: len(judged.questions)]
