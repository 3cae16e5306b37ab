"""Edits by neurons: the facts of a memory whose method is `neuron` are written, or written again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.decide.limits import check_false_fires
from core.errors.base import Uncertified, Unlearned
from core.events.facts import Columns, EditComputed, EditKind
from core.facts import Fact
from core.ids import FactId
from core.state.false_fires import certificate_of, false_fires
from core.state.memory import Memory
from core.state.plan import Plan, plan, plan_of
from core.weights.deltas.fixed_point import Factor, encode
from core.weights.memit.edit import unlearned
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.neuron.edit import Relearned, WrittenNeurons, compute_neurons, relearn_values
from core.weights.neuron.negatives import Negatives
from service.executor.work.context import Context, Live
from service.executor.work.edit import facts_beside, record_edit, said_with
from service.weights.projection import columns_of


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
    assert memory.statistics is not None
    assert memory.statistics.detectors is not None
    mlp = memory.statistics.detectors.mlp
    negatives = Negatives.from_bytes(context.artifacts.get(memory.statistics.detectors.artifact))
    facts = [memory.facts[fact].fact for fact in ids]
    weights = context.build(onto)
    context.model.install({**weights, mlp: context.model.base_weights[mlp]})
    beside = facts_beside(memory, facts, {*ids, *replaced})
    in_force = {fact: _value(context, memory, fact, mlp, None) for fact in beside}
    others = [memory.facts[fact].fact for fact in beside]
    written = compute_neurons(context.model, mlp, negatives, facts, others, in_force, context.steps)
    failures: list[Uncertified | Unlearned] = [*written.refused]
    if kind is EditKind.INJECTION:
        written, unsaid = _said(context, onto, facts, written)
        failures += unsaid
        added = sum(certificate.false_fires for certificate in written.certificates)
        check_false_fires(ids, fires, added, context.created.sleep)
    if failures and (kind is not EditKind.INJECTION or replaced or any(memory.facts[fact].edits for fact in ids)):
        raise failures[0]
    said = said_with(context, onto, written.delta, [facts[number] for number in written.facts])
    columns = _columns([ids[number] for number in written.facts], written, said)
    preserved = PreservedKeys.nothing()
    edit, after = record_edit(
        context, kind, memory, onto, written.delta, columns, preserved, began, replaced, modules=(mlp,)
    )  # fmt: skip
    return edit, after, tuple(failures)


def _said(
    context: Context, onto: Plan, facts: Sequence[Fact], written: WrittenNeurons
) -> tuple[WrittenNeurons, list[Unlearned]]:
    """Returns the neurons of the facts that the model says with these neurons alone, and why each other is left out.

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
            return written, failures
        failures += filter(None, failed)
        written = written.only([place for place, error in enumerate(failed) if error is None])


def train_neurons(
    context: Context, memory: Memory, ids: Sequence[FactId], scales: Mapping[FactId, float]
) -> tuple[Relearned, tuple[Columns, ...]]:
    """Learns a value for each fact that stands behind the detector of its edit, beside all that is in force.

    Args:
        scales: of the edits of these facts, beside which the values are learned.

    Returns:
        What was learned, and the columns of each fact.
    """
    assert memory.statistics is not None
    assert memory.statistics.detectors is not None
    mlp = memory.statistics.detectors.mlp
    weights = context.build(plan(memory))
    context.model.install({**weights, mlp: context.model.base_weights[mlp]})
    facts = [memory.facts[fact].fact for fact in ids]
    beside = facts_beside(memory, facts, set(ids))
    in_force = {fact: _value(context, memory, fact, mlp, scales.get(fact)) for fact in (*beside, *ids)}
    stored = encode(torch.zeros(context.model.hidden_width + 1, 0))  # none, where all facts were retracted meanwhile
    for fact in ids:
        stored = stored.beside(_detector(context, memory, fact, mlp))
    others = [memory.facts[fact].fact for fact in beside]
    learned = relearn_values(context.model, mlp, stored, facts, others, in_force, context.steps)
    columns = tuple(
        Columns(
            fact=fact,
            first=number,
            count=1,
            keys=0,
            residual=round(learned.lengths[number], 6),
            achieved=1.0,
            learned=True,
            certificate=certificate_of(memory, fact),
        )
        for number, fact in enumerate(ids)
    )
    return learned, columns


def _value(context: Context, memory: Memory, fact: FactId, mlp: str, scale: float | None) -> Tensor:
    """Returns the sum [d] of the values that stand in the weights for a fact, with its edits at another `scale`."""
    value = torch.zeros(context.model.hidden_width)
    for delta, columns, share in columns_of(context.deltas, plan_of(memory, fact, scale)):
        value += share * delta.factors[mlp][0].select(columns).to_float().sum(1).float()
    return value


def _detector(context: Context, memory: Memory, fact: FactId, mlp: str) -> Factor:
    """Returns the detector [d + 1, 1] of a fact, as stored."""
    delta, columns, _ = columns_of(context.deltas, plan_of(memory, fact, 1.0))[0]
    return delta.factors[mlp][1].select(columns).select(slice(1))


def _columns(ids: Sequence[FactId], written: WrittenNeurons, said: Sequence[Sequence[bool]]) -> tuple[Columns, ...]:
    return tuple(
        Columns(
            fact=fact,
            first=number,
            count=1,
            keys=0,
            residual=round(written.lengths[number], 6),
            achieved=round(written.responses[number], 6),
            learned=all(said[number]),
            certificate=written.certificates[number],
        )
        for number, fact in enumerate(ids)
    )
