"""Compaction: one adapter of few columns that does what all those in force do, and how far it is from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core.errors.history import NothingToCompact
from core.events.history import AdaptersCompacted
from core.ids import AdapterId, MemoryId
from core.state.memory import Memory
from core.state.plan import Plan, Term, plan
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, parts_of
from core.weights.deltas.truncated_svd import spectrum, truncated
from core.weights.model.editable_model import EditableModel
from service.weights.delta_store import DeltaStore
from service.weights.projection import build, build_verified
from store.clock import next_uuid


@dataclass(frozen=True, slots=True)
class _Try:
    """Weights with a delta of `rank` columns in the adapters' place, and how far they are from those in force."""

    rank: int
    delta: Delta
    weights: dict[str, Tensor]
    change: float


def compaction(
    name: MemoryId, memory: Memory, model: EditableModel, deltas: DeltaStore, bound: float
) -> AdaptersCompacted:
    """What to record once the new adapter is in force; its delta is an artifact by then.

    Args:
        bound: largest relative change of a module's learned weights, |W' - W| / |W - W0| in Frobenius norms, as they
            are once factors and weights are rounded.

    Raises:
        NothingToCompact: within the bound there are no columns to spare.
        DigestMismatch, ArtifactMissing, ArtifactCorrupt, WordsErased: the weights in force cannot be built.
    """
    adapters = tuple(memory.adapters.values())
    columns = sum(one.rank for one in adapters)
    if not adapters:
        raise NothingToCompact(name, "no adapter is in force; sleep makes them")
    before = build_verified(model, deltas, memory)
    pristine = model.base_weights
    learned = {module: float((before[module].double() - pristine[module].double()).norm()) for module in before}
    chosen = deltas.columns(Term(delta=one.delta, first=0, count=one.rank, scale=1.0) for one in adapters)
    parts = {module: parts_of(module, chosen) for module in model.modules}
    sums = {module: spectrum(some) for module, some in parts.items() if some}
    mine = {one.delta for one in adapters}
    others = Plan(terms=tuple(term for term in plan(memory).terms if term.delta not in mine))

    def tried(rank: int) -> _Try:
        delta = truncated(sums, rank)
        weights = build(model, deltas, others, delta)
        apart = {module: float((weights[module].double() - before[module].double()).norm()) for module in weights}
        change = max(_relative(distance, learned[module]) for module, distance in apart.items())
        return _Try(rank, delta, weights, change)

    fewest = max(1, *(found.needed(bound * learned[module]) for module, found in sums.items()))
    found = _fewest(tried, fewest, columns - 1, bound)
    if found is None:
        raise NothingToCompact(
            name, f"fewer than {columns} columns change its weights by more than {bound:g} of what was learned"
        )
    assert memory.weights is not None
    return AdaptersCompacted(
        adapter=AdapterId(next_uuid()),
        replaced=tuple(memory.adapters),
        columns=columns,
        delta=deltas.put(found.delta),
        modules=tuple(sums),
        rank=found.rank,
        bound=bound,
        change=found.change,
        weights_before=memory.weights,
        weights_after=weights_digest(found.weights),
    )


def _relative(distance: float, learned: float) -> float:
    """Adapters that cancel exactly have learned nothing, and any distance from that is too far."""
    return distance / learned if learned else math.inf if distance else 0.0


def _fewest(tried: Callable[[int], _Try], low: int, high: int, bound: float) -> _Try | None:
    """The try of fewest columns, `low` to `high`, within the bound; None when there is none.

    `low` are enough but for rounding, which takes its share of the bound.
    """
    if low > high:
        return None
    found = tried(low)
    if found.change <= bound:
        return found
    found = tried(high)
    if found.change > bound:
        return None
    while found.rank - low > 1:
        middle = tried((low + found.rank) // 2)
        if middle.change <= bound:
            found = middle
        else:
            low = middle.rank
    return found
