"""Edits by neurons: the facts of a memory whose method is `neuron` are written, or written again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from core.decide.limits import check_false_fires
from core.errors.base import Uncertified, Unlearned
from core.events.facts import Columns, EditComputed, EditKind
from core.events.memory import DetectorStatistics
from core.facts import USER, Fact, is_user
from core.ids import FactId
from core.state.false_fires import false_fires, first_columns
from core.state.memory import Memory
from core.state.plan import Plan, plan_of, plan_without
from core.texts import same_words
from core.weights.memit.edit import unlearned
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.model.neurons import marks_at
from core.weights.neuron.asked import FactDetectors
from core.weights.neuron.detectors import Detector
from core.weights.neuron.edit import AT_NIGHT, Mark, Standing, Written, compute_neurons
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import digest_of_templates
from core.weights.neuron.sites import Site
from core.weights.neuron.user.negatives import FirstPerson
from service.executor.values_cache import ValuesCache
from service.executor.work.context import Context, Live
from service.executor.work.edit import facts_beside, record_edit, said_with
from service.weights.projection import columns_of
from service.weights.statistics import detector_statistics, first_person


def edit_by_neurons(
    context: Context,
    kind: EditKind,
    ids: Sequence[FactId],
    memory: Memory,
    onto: Plan,
    replaced: Sequence[FactId] = (),
) -> tuple[EditComputed, Live, tuple[Uncertified | Unlearned, ...]]:
    """Computes neurons with which the weights of the plan `onto`, which has none of `ids` yet, say the facts.

    Returns:
        The edit, the weights with it, and why facts of an injection are not among its columns. Facts of other subjects
        are written all the same, unless the batch replaces facts or has written them before.

    Raises:
        Uncertified: no subject's name can be told apart.
        FalseFiresExceeded: neurons would respond in other text too often; only an injection is refused for that.
        Unlearned: the model with the neurons says none of the facts; only an injection is refused for that.
    """
    began, fires = time.monotonic(), false_fires(memory, {*ids, *replaced})
    if kind is EditKind.INJECTION:  # before anything is computed
        check_false_fires(ids, fires, 0.0, context.created.sleep)
    lower, upper = _sites(context, memory)
    facts = [memory.facts[fact].fact for fact in ids]
    first_person = _first_person(context, facts, upper)
    _install(context, onto, lower, upper)
    marks = _marks(context, memory, [*ids, *replaced, *facts_beside(memory, facts, replaced)], lower.mlp)
    written = compute_neurons(
        context.model, lower, upper, facts, context.measured, marks, first_person=first_person, progress=context.steps
    )  # fmt: skip
    failures: list[Uncertified | Unlearned] = [*written.refused]
    if kind is EditKind.INJECTION:
        written, said, unsaid = _said(context, onto, facts, written)
        failures += unsaid
        check_false_fires(ids, fires, sum(_fires(written)), context.created.sleep)
    else:
        said = said_with(context, onto, written.delta, [facts[number] for number in written.facts])
    if failures and (kind is not EditKind.INJECTION or replaced or any(memory.facts[fact].edits for fact in ids)):
        raise failures[0]
    columns = _columns([ids[number] for number in written.facts], written, [all(of_fact) for of_fact in said])
    preserved = PreservedKeys.nothing()
    edit, after = record_edit(
        context, kind, memory, onto, written.delta, columns, preserved, began, replaced,
        modules=tuple(written.delta.factors),
    )  # fmt: skip
    return edit, after, tuple(failures)


def _sites(context: Context, memory: Memory) -> tuple[Site, Site]:
    """Returns the MLPs at which there are neurons, each with what detectors there are computed against."""
    prepared = memory.statistics
    assert prepared is not None
    assert prepared.detectors is not None
    text = memory.reference_text or prepared.reference_text
    lower = _site(context, prepared.detectors)
    upper = _site(context, prepared.upper) if prepared.upper else None
    if upper is None or upper.negatives.templates_digest != digest_of_templates():  # prepared by older code
        context.model.install(context.model.base_weights)
        stage = context.steps_of("measuring what detectors of facts are computed against")
        _, known = detector_statistics(context.model, context.created, text, context.artifacts, stage)
        upper = _site(context, known)
    return lower, upper


def _first_person(context: Context, facts: Sequence[Fact], upper: Site) -> FirstPerson | None:
    """Returns what the upper MLP reads in the first person, if one of the facts is about the user; measures it on the
    base weights where it is not known."""
    if not any(is_user(fact.subject) for fact in facts):
        return None
    stage = context.steps_of("measuring what else is said in the first person")
    return first_person(context.model, context.created, upper.mlp, context.artifacts, stage)


def _site(context: Context, known: DetectorStatistics) -> Site:
    return Site(known.mlp, Negatives.from_bytes(context.artifacts.get(known.artifact)))


def _marks(context: Context, memory: Memory, facts: Sequence[FactId], mlp: str) -> dict[str, Mark]:
    """Returns normalized subject -> its mark, as stored with the first of its `facts` that has neurons."""
    marks: dict[str, Mark] = {}
    for fact in facts:
        name = same_words(memory.facts[fact].fact.subject)
        for delta, columns, _ in columns_of(context.deltas, plan_of(memory, fact)) if name != USER else ():
            if name not in marks and (factors := delta.factors.get(marks_at(mlp))) is not None:
                u, v = (factor.select(columns).select(slice(1)) for factor in factors)
                recorded = first_columns(memory, fact)
                assert recorded is not None
                assert recorded.certificate is not None
                marks[name] = Mark(u, v, recorded.certificate, recorded.achieved)
    return marks


def _fires(written: Written) -> Iterator[float]:
    for mark, heard in zip(written.marks, written.heard, strict=True):
        of_mark = 0.0 if mark is None else mark.certificate.false_fires
        yield of_mark + sum(certificate.false_fires for certificate in heard)


def _install(context: Context, wanted: Plan, lower: Site, upper: Site) -> None:
    """Installs the weights of a plan without any marks and without the neurons of facts.

    What is computed for a fact must not depend on those of others. A mark may respond in a text about another person.
    """
    base = context.model.base_weights
    without = {module: base[module] for module in (marks_at(lower.mlp), upper.mlp)}
    context.model.install({**context.build(wanted), **without})


def _said(
    context: Context, onto: Plan, facts: Sequence[Fact], written: Written
) -> tuple[Written, tuple[tuple[bool, ...], ...], list[Unlearned]]:
    """Returns the neurons of the facts that the model says with these neurons alone, in which first wordings it says
    each, and why each other is left out.

    Raises:
        Unlearned: none is left.
    """
    failures = list[Unlearned]()
    while True:
        tried = [facts[number] for number in written.facts]
        said = said_with(context, onto, written.delta, tried)
        failed = [unlearned([fact], [of_fact]) for fact, of_fact in zip(tried, said, strict=True)]
        if all(failed) and (error := unlearned(tried, said)) is not None:
            raise error
        if not any(failed):
            return written, said, failures
        failures += filter(None, failed)
        written = written.only([place for place, error in enumerate(failed) if error is None])


def train_neurons(
    context: Context, memory: Memory, ids: Sequence[FactId], scales: Mapping[FactId, float]
) -> tuple[Written, tuple[Columns, ...]]:
    """Learns a value for each fact that stands behind the detectors of its edit, beside all that is in force.

    Args:
        scales: of the edits of these facts, beside which the values are learned.

    Returns:
        What was learned, and the columns of each fact.
    """
    lower, upper = _sites(context, memory)
    facts = [memory.facts[fact].fact for fact in ids]
    first_person = _first_person(context, facts, upper)
    _install(context, plan_without(memory, ids), lower, upper)
    marks = _marks(context, memory, [*ids, *facts_beside(memory, facts, ())], lower.mlp)
    standing = {
        number: known
        for number, fact in enumerate(ids)
        if (known := _standing(context, memory, fact, upper.mlp, scales.get(fact))) is not None
    }
    sleep = memory.sleep
    assert sleep is not None
    training = [sleep.id, sleep.trainings + sleep.repairs, memory.weights, sorted(scales.items()), repr(AT_NIGHT)]
    kept = ValuesCache(context.artifacts, context.deltas, training, ids)
    learned = compute_neurons(
        context.model, lower, upper, facts, context.measured, marks, standing, first_person, AT_NIGHT, context.steps,
        kept,
    )  # fmt: skip
    kept.clear()
    return learned, _columns([ids[number] for number in learned.facts], learned, [True] * len(learned.facts))


def _standing(context: Context, memory: Memory, fact: FactId, mlp: str, scale: float | None) -> Standing | None:
    """Returns the neurons that a fact has at the upper MLP, with its edits at another `scale`; None without any.

    The first values of a night begin with what that takes away, so that the model says what it says now; those that
    follow begin with nothing, because the first ones are there.
    """
    recorded = first_columns(memory, fact)
    if recorded is None or not recorded.heard:
        return None
    delta, columns, _ = columns_of(context.deltas, plan_of(memory, fact, 1.0))[0]
    detectors = delta.factors[mlp][1].select(columns).to_float().T.float()
    heard = [
        Detector(row[:-1], float(row[-1]), 1.0, certificate)
        for row, certificate in zip(detectors, recorded.heard, strict=True)
    ]
    values = _values(context, plan_of(memory, fact, scale), mlp)
    sleep = memory.sleep
    begun = sleep is not None and bool(sleep.trainings)
    before = values if begun else _values(context, plan_of(memory, fact), mlp)
    return Standing(FactDetectors(*heard), values, before - values)


def _values(context: Context, wanted: Plan, mlp: str) -> Tensor:
    """Returns the sums [2, d] of the values of a fact, whose part of a plan is `wanted`."""
    values = torch.zeros(2, context.model.hidden_width)
    for delta, columns, share in columns_of(context.deltas, wanted):
        values += share * delta.factors[mlp][0].select(columns).to_float().T.float()
    return values


def _columns(ids: Sequence[FactId], written: Written, said: Sequence[bool]) -> tuple[Columns, ...]:
    return tuple(
        Columns(
            fact=fact,
            first=2 * number,
            count=2,
            keys=0,
            residual=round(written.lengths[number], 6),
            achieved=round(1.0 if mark is None else mark.response, 6),
            learned=said[number],
            certificate=None if mark is None else mark.certificate,
            heard=written.heard[number],
        )
        for number, (fact, mark) in enumerate(zip(ids, written.marks, strict=True))
    )
