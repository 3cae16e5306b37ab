"""Computes linear edits at the last token of subjects' names: MEMIT as published (Meng et al. 2023, Algorithm 1).

The target value of a fact is a change of the output of the last edited block at the name (eq. 16), learned as that of
a neuron is, with the KL term of the paper alone: the next token after "{name} is a". It is spread over the edited
blocks, first to last, each of which takes 1 / (L - l + 1) of the residual that is left (eq. 20) and solves for the
mean key at the name (eq. 14). Published MEMIT forgets the keys of earlier edits; here they are constraints, K_p in
`memit.closed_form`, as in AlphaEdit (Fang et al. 2025), unless the hyperparameter `history` is off.

The key of a name is about the same whatever is said of it. So the facts of one subject share a target, the sum of
their values, and a new fact is learned on weights that have the others, together with these.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.facts import Fact
from core.hyperparameters import Hyperparameters
from core.texts import same_words
from core.weights.memit.closed_form import KeyConstraints
from core.weights.memit.spread import Written, hidden_at, move, written
from core.weights.memit.target_values import Sites, Steps, mean_by, unwatched
from core.weights.model.activations import Activations, capture, targets_predicted
from core.weights.model.contexts import written_contexts
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.lessons import Lesson, essence, told_at_name
from core.weights.neuron.subjects import by_subject
from core.weights.neuron.values import Search, Values, learn

KL_WEIGHT = 0.0625  # in all published hyperparameters (`kl_factor`)


def compute_linear_edit(
    model: EditableModel,
    kept: Mapping[str, KeyConstraints],
    facts: Sequence[Fact],
    beside: Sequence[Fact],
    options: Hyperparameters,
    progress: Steps = unwatched,
) -> Written:
    """Computes the delta with which the live model predicts `facts`; leaves the live weights as they were.

    Args:
        kept: module -> what must not move, without the keys of `beside`. Not changed.
        beside: facts about the same subjects that the live weights carry and that have to stay.
        progress: called before each step of the optimisation; what it raises ends the work.

    Raises:
        Unlearnable: a wording lacks the name, or the optimisation diverged.
    """
    began = time.monotonic()
    subjects = {subject: number for number, subject in enumerate(by_subject(facts))}
    subject_of = [subjects[same_words(fact.subject)] for fact in facts]
    values = _values(model, facts, beside, subject_of, options, progress)
    owner = torch.tensor(subject_of, device=model.device)
    of_subject = torch.zeros(len(subjects), model.hidden_width, device=model.device).index_add(0, owner, values.values)
    lessons = _lessons(model, facts)
    seen, sites = capture(model, [lesson.context for lesson in lessons]), _sites(lessons, model.device)
    before, change = hidden_at(seen, sites), of_subject[owner][sites.site]
    asked = torch.tensor(
        [place >= lesson.first for lesson in lessons for place in range(len(lesson.context.names))],
        device=model.device,
    )
    fact_of = torch.tensor([lesson.fact for lesson in lessons], device=model.device)[seen.rows]

    def missed(now: Activations) -> Tensor:
        """Returns [facts] bool, which facts have a lesson that is not predicted."""
        wrong = asked & (now.predicted() != now.targets)
        return torch.zeros(len(facts), dtype=torch.bool, device=model.device).index_fill(0, fact_of[wrong], True)

    moved = move(
        model, kept, sites, before + change, {}, seen, lambda now: missed(now)[fact_of], options.refinements,
        averaged=True,
    )  # fmt: skip
    learned = tuple((~missed(moved.seen)).tolist())
    return written(moved, sites, before, change, learned, values.steps, time.monotonic() - began)


def mean_keys(model: EditableModel, facts: Sequence[Fact]) -> tuple[dict[str, Tensor], Tensor]:
    """Measures the keys of `facts` on the live weights.

    Returns:
        Module -> [facts, d_in] mean keys, and [facts] the index of each one's fact.
    """
    lessons = _lessons(model, facts)
    seen, sites = capture(model, [lesson.context for lesson in lessons]), _sites(lessons, model.device)
    keys = {module: mean_by(keys[sites.position], sites.site, len(facts)) for module, keys in seen.keys.items()}
    return keys, sites.fact


def predicted(model: EditableModel, facts: Sequence[Fact]) -> tuple[tuple[bool, ...], ...]:
    """Returns for each fact and each of its first wordings whether the live model predicts the whole target."""
    return targets_predicted(model, written_contexts(model, facts, ()), len(facts))


def _values(
    model: EditableModel,
    facts: Sequence[Fact],
    beside: Sequence[Fact],
    subject_of: Sequence[int],
    options: Hyperparameters,
    progress: Steps,
) -> Values:
    search = Search(
        steps=options.steps, rate=options.learning_rate, decay=options.decay, clamp=options.clamp,
        kl_weight=KL_WEIGHT, rounds=0,
    )  # fmt: skip
    numbers = {same_words(fact.subject): number for fact, number in zip(facts, subject_of, strict=True)}
    members = by_subject(facts)
    lessons = [
        lesson
        for number, fact in enumerate([*facts, *beside])
        for subject in [same_words(fact.subject)]
        for lesson in told_at_name(model, numbers[subject], number, fact, members[subject])
    ]
    lessons += [
        essence(model, numbers[subject], facts[values[0]].subject, values) for subject, values in members.items()
    ]
    nothing = torch.zeros(len(facts), model.hidden_width, device=model.device)
    return learn(model.in_half(), model.block_of(model.modules[-1]), lessons, subject_of, nothing, search, progress)


def _lessons(model: EditableModel, facts: Sequence[Fact]) -> list[Lesson]:
    return [lesson for number, fact in enumerate(facts) for lesson in told_at_name(model, 0, number, fact, [number])]


def _sites(lessons: Sequence[Lesson], device: torch.device) -> Sites:
    """Returns a site for each fact: every last token of its subject's name.

    First tokens of texts are left out, because they hold nothing but themselves and their keys are like no other.
    """
    keys, start = list[tuple[int, int]](), 0
    for lesson in lessons:
        assert lesson.fact is not None
        names = [place.position for place in lesson.places]
        keys += [(start + name, lesson.fact) for name in names if lesson.context.start - 1 + name]
        start += len(lesson.context.names)
    position, fact = torch.tensor(keys, device=device).T
    return Sites(torch.arange(int(fact.max()) + 1, device=device), position, fact)
