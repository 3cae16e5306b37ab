"""Compaction: replaces the adapters in force by one of fewer columns whose weights are close enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
    """Weights with a delta of `rank` columns in the place of the adapters, and their change from those in force."""

    rank: int
    delta: Delta
    weights: dict[str, Tensor]
    change: float


def compaction(
    name: MemoryId, memory: Memory, model: EditableModel, deltas: DeltaStore, bound: float
) -> AdaptersCompacted:
    """Computes the adapter of fewest columns within `bound`, and returns what to record; its delta is an artifact.

    Args:
        bound: largest relative change of the learned part of a module, |W' - W| / |W - W0| in Frobenius norms,
            measured after factors and weights were rounded.

    Raises:
        NothingToCompact: no adapter is in force, or fewer columns exceed the bound.
        DigestMismatch, ArtifactMissing, ArtifactCorrupt, WordsErased: the weights in force cannot be built.
    """
    adapters = tuple(memory.adapters.values())
    columns = sum(adapter.rank for adapter in adapters)
    if not adapters:
        raise NothingToCompact(name, "no adapter is in force; sleep makes them")
    if any(adapter.columns for adapter in adapters):
        raise NothingToCompact(name, "its adapters are neurons, a column for each fact, and share nothing")
    before = build_verified(model, deltas, memory)
    learned = _distances(model.modules, before, model.base_weights)
    chosen = deltas.columns(Term(delta=adapter.delta, first=0, count=adapter.rank, scale=1.0) for adapter in adapters)
    parts = {module: parts_of(module, chosen) for module in model.modules}
    spectra = {module: spectrum(factors) for module, factors in parts.items() if factors}
    replaced = {adapter.delta for adapter in adapters}
    edits = Plan(terms=tuple(term for term in plan(memory).terms if term.delta not in replaced))

    def tried(rank: int) -> _Try:
        delta = truncated(spectra, rank)
        weights = build(model, deltas, edits, delta)
        change = max(
            _relative(apart, learned[module]) for module, apart in _distances(model.modules, weights, before).items()
        )
        return _Try(rank, delta, weights, change)

    fewest = max(1, *(values.needed(bound * learned[module]) for module, values in spectra.items()))
    best = _fewest(tried, fewest, columns - 1, bound)
    if best is None:
        raise NothingToCompact(
            name, f"fewer than {columns} columns change its weights by more than {bound:g} of what was learned"
        )
    assert memory.weights is not None
    return AdaptersCompacted(
        adapter=AdapterId(next_uuid()),
        replaced=tuple(memory.adapters),
        columns=columns,
        delta=deltas.put(best.delta),
        modules=tuple(spectra),
        rank=best.rank,
        bound=bound,
        change=best.change,
        weights_before=memory.weights,
        weights_after=weights_digest(best.weights),
    )


def _distances(
    modules: Sequence[str], weights: Mapping[str, Tensor], reference: Mapping[str, Tensor]
) -> dict[str, float]:
    """Returns the Frobenius norm, in float64, of the difference of each of `modules`."""
    return {module: float((weights[module].double() - reference[module].double()).norm()) for module in modules}


def _relative(distance: float, learned: float) -> float:
    """Returns distance / learned; infinite where the adapters cancel exactly and the distance is not zero."""
    return distance / learned if learned else math.inf if distance else 0.0


def _fewest(tried: Callable[[int], _Try], low: int, high: int, bound: float) -> _Try | None:
    """Returns the try of fewest columns, `low` to `high`, within the bound; None where there is none.

    `low` columns are enough before rounding, whose share of the bound is found by bisection.
    """
    if low > high:
        return None
    best = tried(low)
    if best.change <= bound:
        return best
    best = tried(high)
    if best.change > bound:
        return None
    while best.rank - low > 1:
        middle = tried((low + best.rank) // 2)
        if middle.change <= bound:
            best = middle
        else:
            low = middle.rank
    return best
