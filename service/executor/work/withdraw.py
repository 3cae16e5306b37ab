"""Withdrawal: takes a fact out of the weights, by a counter-edit where leaving out its columns is not enough."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from core.decide.commands import RecordWithdrawal
from core.events.facts import EditKind
from core.events.history import FactWithdrawn
from core.facts import Fact
from core.ids import FactId
from core.method import Method
from core.state.built_on import is_built_on
from core.state.false_fires import first_columns
from core.state.memory import Memory, statement_key, trained_on
from core.state.nearest import nearest_dissolved
from core.state.plan import plan_at, plan_of
from core.state.unanswered import unanswered_questions
from core.state.work import Withdraw
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import dense, parts_of
from core.weights.memit.counter_edit import compute_counter_edit
from core.weights.memit.edit import keys_in_force
from core.weights.memit.preserved_keys import PreservedKeys
from core.weights.memit.spread import Written
from core.weights.model.activations import last_keys
from service.executor.work.catch_up import catch_up
from service.executor.work.context import Context, Done, Live
from service.executor.work.edit import DISSOLVED_KEPT, edit_facts, facts_beside, store_edit
from service.executor.work.neurons import edit_by_neurons
from service.weights.projection import columns_of


def perform(context: Context, work: Withdraw, memory: Memory) -> Done:
    """Leaves out the fact's columns; adds a counter-edit where other weights were computed with them in place.

    Without a counter-edit the weights are those of a plan that never had the columns, to the bit.
    """
    if context.created.method is not Method.ANSWER_SITE:
        return _left_out(context, work, memory)
    began = time.monotonic()
    without = plan_at(memory, {work.fact: 0.0})
    preserved = catch_up(context, memory).preserved.without((work.fact,))
    counters = is_built_on(memory, work.fact) and not _another_answers(memory, work.fact)
    held = _held_keys(context, memory, memory.facts[work.fact].fact) if counters else {}  # on the weights of before
    weights = context.build(without)
    context.model.install(weights)
    edit, after = None, Live(weights_digest(weights), preserved, weights)
    if counters and (written := _counter_edit(context, memory, work.fact, preserved, held)) is not None:
        edit, after = store_edit(context, EditKind.WITHDRAWAL, (work.fact,), memory, without, written, preserved, began)
    withdrawn = FactWithdrawn(
        fact=work.fact,
        edit=edit.edit if edit else None,
        adapters=trained_on(memory, work.fact),
        weights_before=work.weights,
        weights_after=after.digest,
        key_occupancy=after.preserved.key_occupancy(),
        seconds=round(time.monotonic() - began, 6),
    )
    return Done(RecordWithdrawal(work=work, withdrawn=withdrawn, edit=edit), after)


def _left_out(context: Context, work: Withdraw, memory: Memory) -> Done:
    """Leaves out the fact's columns; learns other facts of its subject anew where these were learned with it."""
    began = time.monotonic()
    preserved = catch_up(context, memory).preserved
    by_neurons = context.created.method is Method.NEURON  # of which values of nights are learned anew, too
    siblings = [
        fact
        for fact in facts_beside(memory, [memory.facts[work.fact].fact], (work.fact,))
        if not memory.facts[fact].retracted
        and (_at_its_name(memory, work.fact) if by_neurons else memory.facts[fact].scale == 1.0)
    ]
    gone = (work.fact, *siblings)
    edit, onto, preserved = None, plan_at(memory, dict.fromkeys(gone, 0.0), gone), preserved.without(gone)
    weights = context.build(onto)
    context.model.install(weights)
    after = Live(weights_digest(weights), preserved, weights)
    if siblings and by_neurons:
        edit, after, _ = edit_by_neurons(context, EditKind.REFRESH, siblings, memory, onto, (work.fact,))
    elif siblings:
        edit, after = edit_facts(context, EditKind.REFRESH, siblings, memory, onto, preserved, (work.fact,))
    withdrawn = FactWithdrawn(
        fact=work.fact,
        edit=None,
        adapters=trained_on(memory, work.fact),
        weights_before=work.weights,
        weights_after=after.digest,
        key_occupancy=after.preserved.key_occupancy(),
        seconds=round(time.monotonic() - began, 6),
    )
    return Done(RecordWithdrawal(work=work, withdrawn=withdrawn, edit=edit), after)


def _at_its_name(memory: Memory, fact: FactId) -> bool:
    """Returns whether the neurons of a fact are at its subject's name, as before facts had detectors of their own."""
    recorded = first_columns(memory, fact)
    return recorded is not None and not recorded.heard


def _another_answers(memory: Memory, fact: FactId) -> bool:
    """Returns whether a fact added since, about the same subject and relation, is what the model has to say."""
    stated = memory.facts[fact].fact
    successor = memory.by_statement.get(statement_key(stated.subject, stated.relation))
    return successor is not None and memory.facts[successor].in_weights


def _held_keys(context: Context, memory: Memory, fact: Fact) -> dict[str, Tensor]:
    """Returns the keys, module -> [k, d_in], that a counter-edit must not move although no edit in force has them.

    They are those of facts that adapters alone carry, nearest first, and of questions about the subject that no fact
    of the memory answers.
    """
    questions = unanswered_questions(memory, [fact], but=(fact.relation,))
    nearest = nearest_dissolved(memory, [fact], DISSOLVED_KEPT)
    held = [keys_in_force(context.model, nearest, context.created.prefixes)[0]] if nearest else []
    if questions:
        held.append(last_keys(context.model, [context.model.chat_ids([], question) for question in questions]))
    return {module: torch.cat([keys[module] for keys in held]) for module in context.model.modules if held}


def _counter_edit(
    context: Context, memory: Memory, fact: FactId, preserved: PreservedKeys, held: Mapping[str, Tensor]
) -> Written | None:
    """Computes the edit with which the live model, without the fact's columns, says what the base model says."""
    columns = columns_of(context.deltas, plan_of(memory, fact))
    left_out = {module: dense(parts_of(module, columns)) for module in context.model.modules if columns}
    created = context.created
    return compute_counter_edit(
        context.model, preserved.kept, memory.facts[fact].fact, created.prefixes, created.hyperparameters, held,
        left_out, context.steps,
    )  # fmt: skip
