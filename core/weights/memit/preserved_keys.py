"""Holds the keys that an update must not move: those of ordinary text, and those of each fact that an edit carries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.ids import FactId
from core.weights.memit.closed_form import KeyConstraints


@dataclass(frozen=True, slots=True)
class PreservedKeys:
    """What a memory's updates preserve, and for which fact.

    Attributes:
        ordinary: module -> constraints of ordinary keys alone.
        kept: module -> constraints of ordinary keys and of the keys of all facts in force.
        keys: fact in force -> module -> [k, d_in], its keys.
    """

    ordinary: Mapping[str, KeyConstraints]
    kept: Mapping[str, KeyConstraints]
    keys: Mapping[FactId, Mapping[str, Tensor]]

    @classmethod
    def none(cls, covariances: Mapping[str, Tensor], device: torch.device) -> PreservedKeys:
        """Preserves ordinary keys alone; `covariances` are module -> lambda C [d_in, d_in]."""
        ordinary = {
            module: KeyConstraints.none(covariance.double().to(device)) for module, covariance in covariances.items()
        }
        return cls(ordinary, ordinary, {})

    def joined(self, facts: Sequence[FactId], keys: Mapping[str, Tensor], owner: Tensor) -> PreservedKeys:
        """Adds the keys of `facts`: `keys` are module -> [k, d_in], and `owner` [k] is the index of each one's fact."""
        kept = {module: self.kept[module].with_keys(new) for module, new in keys.items()}
        by_fact = {
            fact: {module: new[owner == index] for module, new in keys.items()} for index, fact in enumerate(facts)
        }
        return PreservedKeys(self.ordinary, kept, {**self.keys, **by_fact})

    def without(self, facts: Collection[FactId]) -> PreservedKeys:
        """Drops the keys of `facts`; the others are factorised anew, because a Cholesky factor only grows by rows."""
        left = {fact: keys for fact, keys in self.keys.items() if fact not in facts}
        if len(left) == len(self.keys):
            return self
        kept = {
            module: ordinary.with_keys(torch.cat([keys[module].to(ordinary.root) for keys in left.values()]))
            if left
            else ordinary
            for module, ordinary in self.ordinary.items()
        }
        return PreservedKeys(self.ordinary, kept, left)

    @classmethod
    def nothing(cls) -> PreservedKeys:
        """Preserves no keys, as in a memory of neurons, which do not move what they do not respond to."""
        return cls({}, {}, {})

    def crowding(self) -> float:
        """Returns the share of the key space that keys in force occupy, in the module where it is largest."""
        return max((constraints.crowding() for constraints in self.kept.values()), default=0.0)
