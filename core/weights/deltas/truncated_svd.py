"""Replaces several deltas by one of few columns: the truncated singular value decomposition of their sum.

The sum U V^T of n columns is never formed: with U = Q_u R_u and V = Q_v R_v its singular values are those of the small
R_u R_v^T, and its singular vectors are Q_u and Q_v times those of that matrix. The r largest values give the nearest
sum of r columns there is, and the norm of the others is its distance (Eckart, Young 1936).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Delta, ScaledColumns, encode


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The sum of columns `left @ diag(values) @ right.T`, all float64.

    Attributes:
        left: [d_out, k] orthonormal columns.
        values: [k], in descending order.
        right: [d_in, k] orthonormal columns.
    """

    left: Tensor
    values: Tensor
    right: Tensor

    def needed(self, distance: float) -> int:
        """Returns the least number of columns whose sum is at most `distance` away, in the Frobenius norm."""
        squares = (
            self.values.square().flip(0).cumsum(0).flip(0)
        )  # [k], squared distance when values from here on are left out
        return int((squares > distance**2).sum())


def spectrum(parts: Sequence[ScaledColumns]) -> Spectrum:
    """Decomposes the sum of `parts` of one module. Cost O((d_out + d_in) n^2 + n^3) for n columns."""
    u = torch.cat([u.to_float() * scale for u, _, scale in parts], dim=1)
    v = torch.cat([v.to_float() for _, v, _ in parts], dim=1)
    (left, up), (right, down) = torch.linalg.qr(u), torch.linalg.qr(v)
    inner, values, outer = torch.linalg.svd(up @ down.T, full_matrices=False)
    return Spectrum(left @ inner, values, right @ outer.T)


def truncated(sums: Mapping[str, Spectrum], rank: int) -> Delta:
    """Returns the nearest sums of `rank` columns, padded with zeros; each factor gets the root of the values."""
    factors = {}
    for module, decomposed in sums.items():
        root = decomposed.values[:rank].sqrt()
        missing = (0, rank - len(root))
        up, down = decomposed.left[:, :rank] * root, decomposed.right[:, :rank] * root
        factors[module] = (
            encode(torch.nn.functional.pad(up, missing)),
            encode(torch.nn.functional.pad(down, missing)),
        )
    return Delta(factors)
