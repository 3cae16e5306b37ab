"""Whose keys an update must not move: those of ordinary text, and those of each fact that an edit carries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.ids import FactId
from core.weights.memit.closed_form import KeyConstraints


@dataclass(frozen=True, slots=True)
class PreservedKeys:
    """What a memory's updates keep, and which part of it is on behalf of which fact.

    Attributes:
        clean: module -> nothing but ordinary keys.
        kept: module -> those, and the keys of all facts in force.
        keys: fact in force -> module -> [k, d_in], its keys.
    """

    clean: Mapping[str, KeyConstraints]
    kept: Mapping[str, KeyConstraints]
    keys: Mapping[FactId, Mapping[str, Tensor]]

    @classmethod
    def none(cls, moments: Mapping[str, Tensor], device: torch.device) -> PreservedKeys:
        """Nothing but ordinary keys; `moments` are module -> lambda C [d_in, d_in]."""
        clean = {module: KeyConstraints.none(moment.double().to(device)) for module, moment in moments.items()}
        return cls(clean, clean, {})

    def joined(self, facts: Sequence[FactId], keys: Mapping[str, Tensor], owner: Tensor) -> PreservedKeys:
        """The same with `keys` (module -> [k, d_in]) in force, too; `owner` [k] says which of `facts` each is for."""
        kept = {module: self.kept[module].with_keys(some) for module, some in keys.items()}
        theirs = {fact: {m: some[owner == n] for m, some in keys.items()} for n, fact in enumerate(facts)}
        return PreservedKeys(self.clean, kept, {**self.keys, **theirs})

    def without(self, facts: Collection[FactId]) -> PreservedKeys:
        """The same with the keys of `facts` in force no more."""
        left = {fact: keys for fact, keys in self.keys.items() if fact not in facts}
        if len(left) == len(self.keys):
            return self
        kept = {
            module: clean.with_keys(torch.cat([keys[module].to(clean.root) for keys in left.values()]))
            if left
            else clean
            for module, clean in self.clean.items()
        }
        return PreservedKeys(self.clean, kept, left)

    def crowding(self) -> float:
        """Share of the key space that keys in force hold, in the module where it is largest."""
        return max(kept.crowding() for kept in self.kept.values())
