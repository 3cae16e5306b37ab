"""Deltas in the artifacts, each fact's own columns sealed under the data key of that fact."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.errors.base import Damaged
from core.errors.history import WordsErased
from core.events.facts import Columns
from core.ids import Digest, FactId
from core.state.plan import Term
from core.weights.deltas.fixed_point import Delta
from store.artifacts import Artifacts
from store.sealing.delta_columns import Extent, Own, extents, seal, unseal
from store.sealing.keyring import Keyring

KEPT_BYTES = 1 << 30  # of deltas, as they are stored

Chosen = tuple[Delta, slice, float]  # a delta, columns of it, scale


@dataclass(slots=True)
class _Stored:
    """An artifact that holds a delta.

    Attributes:
        whole: the delta, where no fact owns its columns.
        extents: the columns that facts own, otherwise.
        opened: of those, the ones that were unsealed so far, by their first column.
        size: of the artifact, in bytes.
    """

    whole: Delta | None
    extents: tuple[Extent, ...]
    opened: dict[int, Delta]
    size: int


class DeltaStore:
    """Stores deltas, and opens their columns when they are asked for; keeps what it read while there is room.

    Safe for any thread. Each access asks the keyring, so that no column is returned whose fact was erased meanwhile.
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

        Columns of adapters and counter-edits have no owner because they outlive the facts they are about.

        Raises:
            WordsErased: one of the facts was erased.
        """
        if not owners:
            return self._artifacts.put(delta.to_bytes())
        keys = self._keys([owner.fact for owner in owners])
        reached = 0
        for owner in sorted(owners, key=lambda columns: columns.first):
            if owner.first != reached:
                raise ValueError(f"column {min(owner.first, reached)} of the delta has no owner, or two")
            reached += owner.count
        if reached != delta.columns:
            raise ValueError(f"{reached} columns have owners, the delta has {delta.columns}")
        return self._artifacts.put(seal((_own(delta, owner) for owner in owners if owner.count), keys))

    def columns(self, terms: Iterable[Term]) -> list[Chosen]:
        """Returns the columns that `terms` name, those of a term in as many parts as they are stored in.

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
                wanted = [extent for extent in stored.extents if _overlaps(extent, term)]
                owners |= dict.fromkeys(extent.fact for extent in wanted)
                self._open(term.delta, stored, wanted)
                count = 0
                for extent in wanted:
                    part = slice(max(term.first - extent.first, 0), min(end - extent.first, extent.count))
                    chosen.append((stored.opened[extent.first], part, term.scale))
                    count += part.stop - part.start
                if count != term.count:
                    raise Damaged(f"delta {term.delta} holds {count} of columns {term.first} to {end - 1}")
            self._keys(owners)
            self._read = None
        return chosen

    def forget(self, facts: Collection[FactId]) -> None:
        """Drops the columns of `facts` that were opened."""
        with self._lock:
            for stored in self._kept.values():
                for extent in stored.extents:
                    if extent.fact in facts:
                        stored.opened.pop(extent.first, None)

    def drop(self, deltas: Collection[Digest]) -> None:
        """Drops what was read of `deltas`, which were removed from the artifacts."""
        with self._lock:
            for digest in deltas:
                if (stored := self._kept.pop(digest, None)) is not None:
                    self._size -= stored.size

    @property
    def kept(self) -> int:
        """Size of the artifacts that are kept, in bytes."""
        with self._lock:
            return self._size

    def _stored(self, digest: Digest) -> _Stored:
        if digest not in self._kept:
            data = self._data(digest)
            owned = extents(data)
            whole = None if owned else Delta.from_bytes(data)
            self._kept[digest] = _Stored(whole, owned, {}, len(data))
            self._size += len(data)
            while self._size > KEPT_BYTES and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def _open(self, digest: Digest, stored: _Stored, wanted: Sequence[Extent]) -> None:
        missing = [extent for extent in wanted if extent.first not in stored.opened]
        if not missing:
            return
        keys, data = self._keys([extent.fact for extent in missing]), self._data(digest)
        for extent in missing:
            stored.opened[extent.first] = Delta.from_bytes(unseal(data, extent, keys[extent.fact]))

    def _data(self, digest: Digest) -> bytes:
        if self._read is None or self._read[0] != digest:
            self._read = digest, self._artifacts.get(digest)
        return self._read[1]

    def _keys(self, facts: Iterable[FactId]) -> dict[FactId, bytes]:
        """Returns the data keys of `facts`; drops the columns of erased ones and raises WordsErased where there are."""
        known = self._keyring.keys(facts)
        keys = {fact: key for fact, key in known.items() if key is not None}
        if erased := [fact for fact in known if fact not in keys]:
            self.forget(erased)
            raise WordsErased(erased[0])
        return keys


def _overlaps(extent: Extent, term: Term) -> bool:
    return extent.first < term.first + term.count and term.first < extent.first + extent.count


def _own(delta: Delta, owner: Columns) -> Own:
    content = delta.select(slice(owner.first, owner.first + owner.count)).to_bytes()
    return Own(fact=owner.fact, first=owner.first, count=owner.count, content=content)
