"""Weights as a projection of the log: from a plan and its deltas to tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

from core.errors import DigestMismatch
from core.events import EditComputed, Event, StatisticsPrepared
from core.history_events import AdaptersCompacted, FactWithdrawn
from core.ids import Digest
from core.memory import Memory
from core.plan import Plan, plan
from core.sleep_events import AdapterTrained, FactsRescaled, SleepRolledBack
from core.weights.delta import Delta, materialise, parts_of
from core.weights.digest import weights_digest
from core.weights.subject import Subject
from store.artifacts import Artifacts

KEPT_DELTAS = 4096


class Deltas:
    """Deltas by digest; read from the artifacts once and kept while there is room."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._kept: OrderedDict[Digest, Delta] = OrderedDict()

    def __getitem__(self, digest: Digest) -> Delta:
        """Raises ArtifactMissing or ArtifactCorrupt."""
        if digest not in self._kept:
            self._kept[digest] = Delta.from_bytes(self._artifacts.get(digest))
            if len(self._kept) > KEPT_DELTAS:
                self._kept.popitem(last=False)
        return self._kept[digest]


def digest_named(event: Event) -> Digest | None:
    """The digest of the weights in force from `event` on, where it names one."""
    match event:
        case StatisticsPrepared() | SleepRolledBack():
            return event.weights
        case EditComputed() | AdapterTrained() | FactsRescaled() | FactWithdrawn() | AdaptersCompacted():
            return event.weights_after
        case _:
            return None


def in_force(memory: Memory) -> tuple[object, ...]:
    """What decides on the weights of `memory`, quick to make and to compare: equal ones have one plan."""
    edits = [(state.scale, state.edits) for state in memory.facts.values() if state.edits and state.scale]
    return memory.weights, tuple(memory.adapters), edits


def columns_of(deltas: Deltas, wanted: Plan) -> list[tuple[Delta, slice, float]]:
    """The terms of a plan: delta, columns of it, scale."""
    return [(deltas[term.delta], slice(term.first, term.first + term.count), term.scale) for term in wanted.terms]


def build(
    subject: Subject,
    deltas: Deltas,
    wanted: Plan,
    more: Delta | None = None,
    each: Callable[[str], None] = lambda module: None,
) -> dict[str, Tensor]:
    """The edited modules' weights at a plan: one exact sum per module.

    Args:
        more: a delta that the plan does not name yet, all of it at full scale.
        each: told every module before it is built; may raise, to give up.
    """
    chosen = columns_of(deltas, wanted)
    if more is not None:
        chosen.append((more, slice(None), 1.0))
    weights: dict[str, Tensor] = {}
    for module in subject.modules:
        each(module)
        weights[module] = materialise(subject.pristine[module], parts_of(module, chosen))
    return weights


def build_verified(subject: Subject, deltas: Deltas, memory: Memory) -> dict[str, Tensor]:
    """The weights of `memory`, whose digest is the recorded one.

    Raises:
        DigestMismatch: it is not.
    """
    weights = build(subject, deltas, plan(memory))
    rebuilt = weights_digest(weights)
    if memory.weights is not None and rebuilt != memory.weights:
        raise DigestMismatch(memory.version, memory.weights, rebuilt)
    return weights
