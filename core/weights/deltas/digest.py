"""Computes the digest of a model's edited weights: a Merkle root over modules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from core.ids import Digest


def module_digest(name: str, weight: Tensor) -> bytes:
    """Returns SHA-256 of one leaf: name, dtype, shape and the little-endian bytes of [d_out, d_in]."""
    hasher = hashlib.sha256(f"{name}|{weight.dtype}|{tuple(weight.shape)}|".encode())
    hasher.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return hasher.digest()


def weights_digest(weights: Mapping[str, Tensor]) -> Digest:
    """Returns SHA-256 over the leaves in the order of the modules' names; an MLP without neurons is not a leaf."""
    root = hashlib.sha256()
    for name in sorted(name for name, weight in weights.items() if len(weight)):
        root.update(module_digest(name, weights[name]))
    return Digest(root.hexdigest())
