"""Weights as a projection of the log: from a plan and its deltas to tensors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from core.errors.base import Damaged, DigestMismatch
from core.errors.history import WordsErased
from core.events import Event
from core.events.facts import Columns, EditComputed
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.memory import StatisticsPrepared
from core.events.sleep import AdapterTrained, FactsRescaled, SleepRolledBack
from core.ids import Digest, FactId
from core.state.memory import Memory
from core.state.plan import Plan, Term, plan
from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, materialise, parts_of
from core.weights.model.editable_model import EditableModel
from store.artifacts import Artifacts
from store.sealing.delta_columns import Extent, Own, extents, seal, unseal
from store.sealing.keyring import Keyring

KEPT_BYTES = 1 << 30  # of deltas, as they are stored

Chosen = tuple[Delta, slice, float]  # a delta, columns of it, scale


@dataclass(slots=True)
class _Stored:
    """An artifact that holds a delta: `whole` when its columns are nobody's own, else what was opened, by column."""

    whole: Delta | None
    extents: tuple[Extent, ...]
    open_store: dict[int, Delta]
    size: int


class DeltaStore:
    """Deltas in the artifacts, each fact's own columns sealed: opened when asked for, kept while there is room.

    Safe for any thread. Every access asks the keyring, so nothing is served that was erased meanwhile.
    """

    def __init__(self, artifacts: Artifacts, keyring: Keyring) -> None:
        self._artifacts = artifacts
        self._keyring = keyring
        self._kept: OrderedDict[Digest, _Stored] = OrderedDict()  # least recently used first
        self._size = 0
        self._read: tuple[Digest, bytes] | None = None  # the artifact read last, while columns are chosen
        self._lock = threading.RLock()

    def put(self, delta: Delta, owners: Sequence[Columns] = ()) -> Digest:
        """Stores `delta`, durably; with `owners`, the columns of each under the data key of its fact.

        Columns of adapters and counter-edits have no owner: they outlive the facts they are about.

        Raises:
            WordsErased: one of the facts was erased.
        """
        if not owners:
            return self._artifacts.put(delta.to_bytes())
        keys = self._keys([one.fact for one in owners])
        reached = 0
        for one in sorted(owners, key=lambda one: one.first):
            if one.first != reached:
                raise ValueError(f"column {min(one.first, reached)} of the delta has no owner, or two")
            reached += one.count
        if reached != delta.columns:
            raise ValueError(f"{reached} columns have owners, the delta has {delta.columns}")
        return self._artifacts.put(seal((_own(delta, one) for one in owners if one.count), keys))

    def columns(self, terms: Iterable[Term]) -> list[Chosen]:
        """The columns that `terms` name, a term's in as many parts as they are stored in.

        Raises:
            WordsErased: a column belongs to a fact that was erased.
            ArtifactMissing, ArtifactCorrupt, Damaged: an artifact is not as it was written.
        """
        chosen: list[Chosen] = []
        owners: dict[FactId, None] = {}
        with self._lock:
            for term in terms:
                end = term.first + term.count
                stored = self._stored(term.delta)
                if stored.whole is not None:
                    chosen.append((stored.whole, slice(term.first, end), term.scale))
                    continue
                wanted = [one for one in stored.extents if one.first < end and term.first < one.first + one.count]
                owners |= dict.fromkeys(one.fact for one in wanted)
                self._open(term.delta, stored, wanted)
                found = 0
                for one in wanted:
                    part = slice(max(term.first - one.first, 0), min(end - one.first, one.count))
                    chosen.append((stored.open_store[one.first], part, term.scale))
                    found += part.stop - part.start
                if found != term.count:
                    raise Damaged(f"delta {term.delta} holds {found} of columns {term.first} to {end - 1}")
            self._keys(owners)
            self._read = None
        return chosen

    def forget(self, facts: Collection[FactId]) -> None:
        """Keeps no column of `facts` any longer."""
        with self._lock:
            for stored in self._kept.values():
                for one in stored.extents:
                    if one.fact in facts:
                        stored.open_store.pop(one.first, None)

    def _stored(self, digest: Digest) -> _Stored:
        if digest not in self._kept:
            data = self._data(digest)
            found = extents(data)
            whole = None if found else Delta.from_bytes(data)
            self._kept[digest] = _Stored(whole, found, {}, len(data))
            self._size += len(data)
            while self._size > KEPT_BYTES and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def _open(self, digest: Digest, stored: _Stored, wanted: Sequence[Extent]) -> None:
        missing = [one for one in wanted if one.first not in stored.open_store]
        if not missing:
            return
        keys, data = self._keys([one.fact for one in missing]), self._data(digest)
        for one in missing:
            stored.open_store[one.first] = Delta.from_bytes(unseal(data, one, keys[one.fact]))

    def _data(self, digest: Digest) -> bytes:
        if self._read is None or self._read[0] != digest:
            self._read = digest, self._artifacts.get(digest)
        return self._read[1]

    def _keys(self, facts: Iterable[FactId]) -> dict[FactId, bytes]:
        """Raises WordsErased, and forgets what was opened of it, where one was thrown away."""
        found = self._keyring.keys(facts)
        keys = {fact: key for fact, key in found.items() if key is not None}
        if erased := [fact for fact in found if fact not in keys]:
            self.forget(erased)
            raise WordsErased(erased[0])
        return keys


def _own(delta: Delta, owner: Columns) -> Own:
    content = delta.select(slice(owner.first, owner.first + owner.count)).to_bytes()
    return Own(fact=owner.fact, first=owner.first, count=owner.count, content=content)


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


def columns_of(deltas: DeltaStore, wanted: Plan) -> list[Chosen]:
    """The terms of a plan: delta, columns of it, scale."""
    return deltas.columns(wanted.terms)


def build(
    model: EditableModel,
    deltas: DeltaStore,
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
    for module in model.modules:
        each(module)
        weights[module] = materialise(model.base_weights[module], parts_of(module, chosen))
    return weights


def build_module(model: EditableModel, deltas: DeltaStore, module: str, wanted: Plan) -> Tensor:
    """One module's weight at a plan."""
    return materialise(model.base_weights[module], parts_of(module, columns_of(deltas, wanted)))


def build_verified(model: EditableModel, deltas: DeltaStore, memory: Memory) -> dict[str, Tensor]:
    """The weights of `memory`, whose digest is the recorded one.

    Raises:
        DigestMismatch: it is not.
    """
    weights = build(model, deltas, plan(memory))
    rebuilt = weights_digest(weights)
    if memory.weights is not None and rebuilt != memory.weights:
        raise DigestMismatch(memory.version, memory.weights, rebuilt)
    return weights
