"""Computes edits of facts on the live weights: what injection, refresh and withdrawal have in common."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import torch

from core.decide.limits import check_contamination
from core.events.facts import Columns, EditComputed, EditKind
from core.facts import Fact
from core.ids import EditId, FactId
from core.method import Method
from core.state.memory import Memory
from core.state.nearest import nearest_dissolved
from core.state.plan import Plan
from core.state.unanswered import unanswered_questions
from core.texts import same_words
from core.weights import linear
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta
from core.weights.memit.edit import compute_edit, unlearned
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.memit.spread import Written
from core.weights.neuron import edit as neuron
from core.weights.neuron.subjects import by_subject
from service.executor.work.context import Context, Live
from store.clock import next_uuid

DISSOLVED_KEPT = 64  # dissolved facts whose keys an edit must not move, at most


def edit_facts(
    context: Context,
    kind: EditKind,
    ids: Sequence[FactId],
    memory: Memory,
    onto: Plan,
    preserved: PreservedKeys,
    replaced: Sequence[FactId] = (),
) -> tuple[EditComputed, Live]:
    """Edits the live weights, which are those of the plan `onto`, so that the model says the facts.

    Dissolved facts near them must not move in this update; no later update has to preserve their keys. At a name, the
    keys of other facts of the subject are the new one's, so that these are learned again beside it instead.

    Raises:
        Unlearned: the model with the edit does not say some of the facts; only an injection is refused for that.
    """
    began = time.monotonic()
    facts = [memory.facts[fact].fact for fact in ids]
    created, at_names = context.created, context.created.method is Method.MEMIT
    beside = facts_beside(memory, facts, {*ids, *replaced}) if at_names else []
    kept = preserved.without(beside).kept
    nearest = nearest_dissolved(memory, facts, DISSOLVED_KEPT) if created.hyperparameters.history else []
    if at_names:
        nearest = [fact for fact in nearest if same_words(fact.subject) not in by_subject(facts)]
    if nearest:
        keys, _ = context.keys_of(nearest)
        kept = {module: constraints.with_keys(keys[module]) for module, constraints in kept.items()}
    if at_names:
        others = [memory.facts[fact].fact for fact in beside]
        written = linear.compute_linear_edit(context.model, kept, facts, others, created.hyperparameters, context.steps)
        said = said_with(context, onto, written.delta, facts)
    else:
        unanswered = unanswered_questions(memory, facts)
        written = compute_edit(
            context.model, kept, facts, created.prefixes, created.hyperparameters, unanswered, context.steps
        )
        said = written.predicted
    if kind is EditKind.INJECTION and (error := unlearned(facts, said)) is not None:
        raise error
    return store_edit(context, kind, ids, memory, onto, written, preserved, began, replaced)


def facts_beside(memory: Memory, facts: Sequence[Fact], gone: Collection[FactId]) -> list[FactId]:
    """Returns the facts in the weights about the subjects of `facts`, but for those in `gone`."""
    subjects = by_subject(facts)
    return [
        fact
        for fact, state in memory.facts.items()
        if fact not in gone and state.in_weights and not state.erased and same_words(state.fact.subject) in subjects
    ]


def said_with(context: Context, onto: Plan, delta: Delta, facts: Sequence[Fact]) -> tuple[tuple[bool, ...], ...]:
    """Returns what `predicted` of the memory's method says of the weights of the plan `onto` with a delta on top."""
    of_method = neuron.predicted if context.created.method is Method.NEURON else linear.predicted
    with context.model.with_weights(context.build(onto, delta)):
        return of_method(context.model, facts)


def store_edit(
    context: Context,
    kind: EditKind,
    ids: Sequence[FactId],
    memory: Memory,
    onto: Plan,
    written: Written,
    preserved: PreservedKeys,
    began: float,
    replaced: Sequence[FactId] = (),
) -> tuple[EditComputed, Live]:
    """Stores the delta that was computed on the weights of the plan `onto`, and builds the weights that it gives.

    Each fact owns its columns, but those of a counter-edit have no owner because it outlives its fact.

    Args:
        began: when the work began, in seconds of the monotonic clock.
        replaced: facts that leave the weights with this edit.
    """
    columns = columns_written(ids, written)
    if context.created.hyperparameters.history:
        preserved = preserved.joined(ids, written.keys, written.key_fact)
    return record_edit(
        context, kind, memory, onto, written.delta, columns, preserved, began, replaced, context.model.modules
    )  # fmt: skip


def record_edit(
    context: Context,
    kind: EditKind,
    memory: Memory,
    onto: Plan,
    computed: Delta,
    columns: tuple[Columns, ...],
    preserved: PreservedKeys,
    began: float,
    replaced: Sequence[FactId],
    modules: tuple[str, ...],
) -> tuple[EditComputed, Live]:
    """Stores a delta and returns what to record of it, with locality where it injects facts.

    Args:
        preserved: what later updates must preserve.
        modules: those that the delta changes.

    Raises:
        Contaminated: an injection makes other answers say a told object; nothing is stored then.
    """
    assert memory.statistics is not None
    assert memory.weights is not None
    weights = context.build(onto, computed)
    after = Live(weights_digest(weights), preserved, weights)
    ids = [own.fact for own in columns]
    with context.model.with_weights(weights):
        facts = [memory.facts[fact].fact for fact in ids]
        injects = kind is EditKind.INJECTION
        unchanged = context.locality.measure(memory, facts, lambda: context.build(onto)) if injects else None
    if unchanged is not None:
        check_contamination(ids, unchanged.contamination, context.created.sleep)
    delta = context.deltas.put(computed, () if kind is EditKind.WITHDRAWAL else columns)
    gone = {*ids, *replaced}
    edit = EditComputed(
        edit=EditId(next_uuid()),
        kind=kind,
        delta=delta,
        modules=modules,
        columns=columns,
        statistics=memory.statistics.artifact,
        facts_in_force=sum(state.carried_by_edit and fact not in gone for fact, state in memory.facts.items()),
        weights_before=memory.weights,
        weights_after=after.digest,
        key_occupancy=preserved.key_occupancy(),
        seconds=round(time.monotonic() - began, 6),
        replaced=tuple(replaced),
        unchanged=unchanged,
    )
    return edit, after


def columns_written(ids: Sequence[FactId], written: Written) -> tuple[Columns, ...]:
    """Returns what is recorded of each fact's columns."""
    keys = torch.bincount(written.key_fact, minlength=len(ids)).tolist()
    return tuple(
        Columns(
            fact=fact,
            first=written.first[index],
            count=written.count[index],
            keys=keys[index],
            residual=written.residual[index],
            achieved=written.achieved[index],
            learned=written.learned[index],
            extra_sites=written.extra_sites[index],
        )
        for index, fact in enumerate(ids)
    )
