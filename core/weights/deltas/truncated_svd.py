"""One delta of few columns in the place of several: the truncated singular value decomposition of their sum.

The sum U V^T of n columns is never formed: with U = Q_u R_u and V = Q_v R_v its singular values are those of the small
R_u R_v^T, and its singular vectors those of that matrix behind Q_u and Q_v. Leaving out all but the r largest values is
the nearest sum of r columns there is, and the norm of what is left out is the distance (Eckart, Young 1936).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Delta, ScaledColumns, encode


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A sum of columns as `left @ diag(values) @ right.T`, all float64.

    Attributes:
        left: [d_out, k] orthonormal columns.
        values: [k], falling.
        right: [d_in, k] orthonormal columns.
    """

    left: Tensor
    values: Tensor
    right: Tensor

    def needed(self, distance: float) -> int:
        """The fewest columns whose sum is at most `distance` away, in the Frobenius norm."""
        squares = self.values.square().flip(0).cumsum(0).flip(0)  # [k], of what leaving out from here on costs
        return int((squares > distance**2).sum())


def spectrum(parts: Sequence[ScaledColumns]) -> Spectrum:
    """Of the sum of `parts` of one module. Cost O((d_out + d_in) n^2 + n^3) for n columns."""
    u = torch.cat([u.to_float() * scale for u, _, scale in parts], dim=1)
    v = torch.cat([v.to_float() for _, v, _ in parts], dim=1)
    (left, up), (right, down) = torch.linalg.qr(u), torch.linalg.qr(v)
    inner, values, outer = torch.linalg.svd(up @ down.T, full_matrices=False)
    return Spectrum(left @ inner, values, right @ outer.T)


def truncated(sums: Mapping[str, Spectrum], rank: int) -> Delta:
    """The nearest sums of `rank` columns; of zeros where a module has fewer. Values are shared by both factors."""
    factors = {}
    for module, found in sums.items():
        root = found.values[:rank].sqrt()
        missing = (0, rank - len(root))
        up, down = found.left[:, :rank] * root, found.right[:, :rank] * root
        factors[module] = (
            encode(torch.nn.functional.pad(up, missing)),
            encode(torch.nn.functional.pad(down, missing)),
        )
    return Delta(factors)
