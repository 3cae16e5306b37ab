"""Holds the keys that an update must not move: those of reference text, and those of each fact that an edit carries."""

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
        reference: module -> constraints of keys of reference text alone.
        kept: module -> constraints of keys of reference text and of the keys of all facts in force.
        keys: fact in force -> module -> [k, d_in], its keys.
    """

    reference: Mapping[str, KeyConstraints]
    kept: Mapping[str, KeyConstraints]
    keys: Mapping[FactId, Mapping[str, Tensor]]

    @classmethod
    def of_reference(cls, covariances: Mapping[str, Tensor], device: torch.device) -> PreservedKeys:
        """Preserves keys of reference text alone; `covariances` are module -> lambda C [d_in, d_in]."""
        reference = {
            module: KeyConstraints.none(covariance.double().to(device)) for module, covariance in covariances.items()
        }
        return cls(reference, reference, {})

    def joined(self, facts: Sequence[FactId], keys: Mapping[str, Tensor], owner: Tensor) -> PreservedKeys:
        """Adds the keys of `facts`: `keys` are module -> [k, d_in], and `owner` [k] is the index of each one's fact."""
        kept = {module: self.kept[module].with_keys(new) for module, new in keys.items()}
        by_fact = {
            fact: {module: new[owner == index] for module, new in keys.items()} for index, fact in enumerate(facts)
        }
        return PreservedKeys(self.reference, kept, {**self.keys, **by_fact})

    def without(self, facts: Collection[FactId]) -> PreservedKeys:
        """Drops the keys of `facts`; the others are factorised anew, because a Cholesky factor only grows by rows."""
        left = {fact: keys for fact, keys in self.keys.items() if fact not in facts}
        if len(left) == len(self.keys):
            return self
        kept = {
            module: reference.with_keys(torch.cat([keys[module].to(reference.root) for keys in left.values()]))
            if left
            else reference
            for module, reference in self.reference.items()
        }
        return PreservedKeys(self.reference, kept, left)

    @classmethod
    def nothing(cls) -> PreservedKeys:
        """Preserves no keys, as in a memory of neurons, which do not move what they do not respond to."""
        return cls({}, {}, {})

    def key_occupancy(self) -> float:
        """Returns the share of the key space that keys in force occupy, in the module where it is largest."""
        return max((constraints.key_occupancy() for constraints in self.kept.values()), default=0.0)
