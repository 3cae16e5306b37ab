"""Edits by neurons: the facts of a memory whose method is `neuron` are written, or written again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from core.decide.limits import check_false_fires
from core.errors.base import Uncertified, Unlearned
from core.events.facts import Columns, EditComputed, EditKind
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory
from core.state.plan import Plan, plan_of
from core.state.pressure import false_fires
from core.weights.memit.edit import unlearned
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.neuron.edit import WrittenNeurons, compute_neurons
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
    beside = _beside(context, memory, facts, {*ids, *replaced}, mlp)
    written = compute_neurons(context.model, mlp, negatives, facts, beside, context.steps)
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


def _beside(
    context: Context, memory: Memory, facts: Sequence[Fact], gone: set[FactId], mlp: str
) -> list[tuple[Fact, Tensor]]:
    """Returns the facts in force about the subjects of `facts`, each with its value [d] at its scale."""
    kept = []
    for fact in facts_beside(memory, facts, gone):
        value = torch.zeros(context.model.hidden_width)
        for delta, columns, scale in columns_of(context.deltas, plan_of(memory, fact)):
            value += scale * delta.factors[mlp][0].select(columns).to_float().sum(1).float()
        kept.append((memory.facts[fact].fact, value))
    return kept


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
