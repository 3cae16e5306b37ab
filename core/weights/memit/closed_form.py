"""Solves the protected update: moves a module's outputs at some keys and keeps them at all others.

    Delta = R K^T H^-1,   H = lambda C + K_p K_p^T + K K^T        (MEMIT, Meng et al. 2023, eq. 14, and K_p)

C is the covariance (uncentred second moment) of keys of reference text, K_p the keys of all facts in force, K the new
keys and R the residuals, the wanted changes of the outputs at K. AlphaEdit (Fang et al. 2025) holds the keys K_p of
earlier edits, too, but projects on the null space of C where this weighs C. With L L^T = lambda C and whitened keys
z = L^-1 k,

    H^-1 k = L^-T (I + Z^T Z)^-1 z = L^-T (z - Z^T (I + Z Z^T)^-1 Z z),   rows of Z: kept and new keys,

so that beside the one factorisation of lambda C only an n x n system is solved for n keys in force, and its Cholesky
factor grows by rows as facts are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class KeyConstraints:
    """What an update of one module must not move.

    Attributes:
        root: L [d_in, d_in] float64, lower triangular, L L^T = lambda C.
        whitened: Z [n, d_in] float64, the keys in force.
        gram_root: [n, n] lower Cholesky factor of I + Z Z^T.
    """

    root: Tensor
    whitened: Tensor
    gram_root: Tensor

    @classmethod
    def none(cls, weighted_moment: Tensor) -> KeyConstraints:
        """Returns the constraints of keys of reference text alone.

        Args:
            weighted_moment: lambda C [d_in, d_in] float64, positive definite.
        """
        width = weighted_moment.shape[0]
        empty = torch.empty(0, width, dtype=torch.float64, device=weighted_moment.device)
        return cls(torch.linalg.cholesky(weighted_moment), empty, empty[:, :0])

    def whiten(self, keys: Tensor) -> Tensor:
        """Returns L^-1 k for each row of `keys` [m, d_in]; float64 [m, d_in]."""
        return torch.linalg.solve_triangular(self.root, keys.double().T, upper=False).T

    def with_keys(self, keys: Tensor) -> KeyConstraints:
        """Adds `keys` [m, d_in] to those in force. Cost O(m n d_in + m n^2)."""
        z = self.whiten(keys)
        # The Cholesky factor of the larger I + Z Z^T, by blocks: [[gram_root, 0], [left, lower]].
        cross = z @ self.whitened.T  # [m, n]
        corner = torch.eye(len(z), dtype=z.dtype, device=z.device) + z @ z.T
        left = torch.linalg.solve_triangular(self.gram_root, cross.T, upper=False).T if len(self.whitened) else cross
        lower = torch.linalg.cholesky(corner - left @ left.T)
        n, m = len(self.whitened), len(z)
        root = torch.zeros(n + m, n + m, dtype=z.dtype, device=z.device)
        root[:n, :n], root[n:, :n], root[n:, n:] = self.gram_root, left, lower
        return KeyConstraints(self.root, torch.cat([self.whitened, z]), root)

    def inverse_times(self, keys: Tensor) -> Tensor:
        """Returns H^-1 k for each row of `keys` [m, d_in]; float64 [m, d_in]. H holds the keys in force, not `keys`."""
        z = self.whiten(keys)
        if len(self.whitened):
            weights = torch.cholesky_solve(self.whitened @ z.T, self.gram_root)  # [n, m]
            z = z - weights.T @ self.whitened
        return torch.linalg.solve_triangular(self.root.T, z.T, upper=True).T

    def key_occupancy(self) -> float:
        """Returns the share of the key space that keys in force occupy: trace(Z^T Z (I + Z^T Z)^-1) / d_in, 0..1.

        A key takes less than one dimension where reference text varies along it, too.
        """
        if not len(self.whitened):
            return 0.0
        inverse_trace = torch.cholesky_inverse(self.gram_root).diagonal().sum()  # tr((I + Z Z^T)^-1)
        return float((len(self.whitened) - inverse_trace) / self.whitened.shape[1])


def solve_update(kept: KeyConstraints, keys: Tensor, owner: Tensor, owners: int) -> Tensor:
    """Solves for V of the smallest change that moves the outputs at `keys`, one column per owner of keys.

    Contexts of one fact at one site share one residual u, so their terms u (H^-1 k_c)^T add up to rank one:
    v = sum over its keys of H^-1 k_c = H^-1 (sum of k_c), which is solved once per owner.

    Args:
        kept: with `keys` in force already.
        keys: [m, d_in].
        owner: [m], which column each key belongs to.

    Returns:
        V [d_in, owners] float64; the change of the weight is U V^T for residuals U [d_out, owners].
    """
    total = torch.zeros(owners, keys.shape[1], dtype=torch.float64, device=keys.device)
    return kept.inverse_times(total.index_add(0, owner, keys.double())).T
