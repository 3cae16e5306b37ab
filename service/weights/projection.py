"""Weights as a projection of the log: from a plan and its deltas to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from core.errors.base import DigestMismatch
from core.events import Event
from core.events.facts import EditComputed
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.memory import StatisticsPrepared
from core.events.sleep import AdapterTrained, FactsRescaled, SleepRolledBack
from core.ids import Digest
from core.state.memory import Memory
from core.state.plan import Plan, plan
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, materialise, parts_of
from core.weights.deltas.neurons import marks_of, rows_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import MARKS
from service.weights.delta_store import Chosen, DeltaStore


def digest_named(event: Event) -> Digest | None:
    """Returns the digest of the weights in force from `event` on; None where it names no digest."""
    match event:
        case StatisticsPrepared() | SleepRolledBack():
            return event.weights
        case EditComputed() | AdapterTrained() | FactsRescaled() | FactWithdrawn() | AdaptersCompacted():
            return event.weights_after
        case _:
            return None


def in_force(memory: Memory) -> tuple[object, ...]:
    """Returns what the weights of `memory` depend on, cheap to compare: states that are equal in it have one plan."""
    edits = [(state.scale, state.edits) for state in memory.facts.values() if state.edits and state.scale]
    return memory.weights, tuple(memory.adapters), edits


def columns_of(deltas: DeltaStore, wanted: Plan) -> list[Chosen]:
    """Returns the columns that a plan names, each with its delta and its scale."""
    return deltas.columns(wanted.terms)


def build(
    model: EditableModel,
    deltas: DeltaStore,
    wanted: Plan,
    unplanned: Delta | None = None,
    each: Callable[[str], None] = lambda module: None,
) -> dict[str, Tensor]:
    """Returns the weights of a plan: one exact sum for each edited module, and the neurons of each MLP.

    Args:
        unplanned: a delta that the plan does not name yet, all of it at full scale.
        each: called with the name of each module before it is built; may raise, to give up.
    """
    chosen = columns_of(deltas, wanted)
    if unplanned is not None:
        chosen.append((unplanned, slice(None), 1.0))
    weights: dict[str, Tensor] = {}
    for module in model.base_weights:
        if module in model.modules:
            each(module)
        weights[module] = _weight(model, module, chosen)
    return weights


def build_module(model: EditableModel, deltas: DeltaStore, module: str, wanted: Plan) -> Tensor:
    """Returns the weight [d_out, d_in] of one module at a plan, or the neurons [n, 2 d + 1] of an MLP."""
    return _weight(model, module, columns_of(deltas, wanted))


def build_verified(
    model: EditableModel, deltas: DeltaStore, memory: Memory, each: Callable[[str], None] = lambda module: None
) -> dict[str, Tensor]:
    """Returns the weights of `memory`; `each` is that of `build`.

    Raises:
        DigestMismatch: their digest is not the recorded one.
    """
    weights = build(model, deltas, plan(memory), each=each)
    rebuilt = weights_digest(weights)
    if memory.weights is not None and rebuilt != memory.weights:
        raise DigestMismatch(memory.version, memory.weights, rebuilt)
    return weights


def _weight(model: EditableModel, module: str, chosen: Sequence[Chosen]) -> Tensor:
    parts = parts_of(module, chosen)
    if module in model.neurons:
        return (marks_of if module.endswith(MARKS) else rows_of)(parts, model.hidden_width)
    return materialise(model.base_weights[module], parts)
