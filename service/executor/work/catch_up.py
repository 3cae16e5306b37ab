"""Puts the weights of a memory on the model, and measures the keys that an update of them must not move."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from torch import Tensor

from core.errors.base import Damaged
from core.ids import FactId
from core.method import Method
from core.state.memory import Memory
from core.weights.memit.preserved_keys import PreservedKeys
from service.executor.work.context import Context, Live
from service.weights.projection import build_verified

FACTS_AT_ONCE = 64  # whose keys are measured in one pass


def catch_up(context: Context, memory: Memory) -> Live:
    """Makes the weights of `memory` live: what the last work left where it fits, what the log says otherwise."""
    last = context.live
    if last is None or last.digest != memory.weights:
        assert memory.weights is not None
        weights = build_verified(context.model, context.deltas, memory)
        return Live(memory.weights, install(context, weights, memory), None)
    if last.weights is not None:
        context.model.install(last.weights)
    return replace(last, weights=None)


def install(
    context: Context, weights: Mapping[str, Tensor], memory: Memory, without: Collection[FactId] = ()
) -> PreservedKeys:
    """Makes `weights` live and measures the keys, on them, of the facts that edits carry, except those in `without`."""
    if context.created.method is Method.NEURON:
        context.model.install(weights)
        return PreservedKeys.nothing()
    covariance = context.covariance(memory)
    if set(covariance.moments) != set(context.model.modules):
        assert memory.statistics is not None
        raise Damaged(f"statistics {memory.statistics.artifact} are of other modules than the memory's")
    context.model.install(weights)
    preserved = PreservedKeys.of_reference(covariance.moments, context.model.device)
    if not context.created.hyperparameters.history:
        return preserved
    facts = [state.fact for fact, state in memory.facts.items() if state.carried_by_edit and fact not in without]
    for start in range(0, len(facts), FACTS_AT_ONCE):
        context.steps(start, len(facts))
        batch = facts[start : start + FACTS_AT_ONCE]
        extra = [extra_sites(memory, fact.id) for fact in batch]
        keys, owner = context.keys_of(batch, extra)
        preserved = preserved.joined([fact.id for fact in batch], keys, owner)
    return preserved


def extra_sites(memory: Memory, fact: FactId) -> tuple[str, ...]:
    """Returns the sites of the fact's edits in force beside those that the base model gets wrong."""
    edits = [memory.edits[edit] for edit in memory.facts[fact].edits]
    return tuple(
        name for edit in edits for columns in edit.columns if columns.fact == fact for name in columns.extra_sites
    )
