"""Turns columns of a delta into memory neurons: `u * clip(w . x + b, 0, 1)`, added to what an MLP adds.

A delta names the MLP itself as its module where its columns are neurons: a column of U [d, n] is the value u, a column
of V [d + 1, n] is the detector w with its bias b as the last row. Neurons are never summed: each keeps a row of its
own, scaled in u alone. A mantissa of at most 15 bits times a power of two is exact in float32, so a set of neurons has
one value on every machine, and rows are sorted by their bytes, so that it does not depend on the order of edits either.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from core.weights.deltas.fixed_point import Factor, ScaledColumns, encode, scaled


def encode_neurons(w: Tensor, b: Tensor, u: Tensor) -> tuple[Factor, Factor]:
    """Rounds neurons to the grid of deltas.

    Args:
        w: [n, d] detectors.
        b: [n] their biases.
        u: [n, d] values.

    Returns:
        The factors U [d, n] and V [d + 1, n].

    Raises:
        Unlearnable: a number is not finite.
    """
    return encode(u.T), encode(torch.cat([w, b[:, None]], dim=1).T)


def marks_of(parts: Iterable[ScaledColumns], width: int) -> Tensor:
    """Returns the marks in force, [n, 2 d + 1] float32 as of `rows_of`: each once and whole.

    Every fact of a subject has a copy of its mark, so that the mark stands as long as any of them does, at any scale.

    Args:
        parts: columns in force; those of zeros hold no mark.
        width: d, of the residual stream.
    """
    rows = rows_of(((u, v, 1.0) for u, v, scale in parts if scale), width)
    return torch.unique_consecutive(rows[rows.any(dim=1)], dim=0)  # equal rows are neighbours in canonical order


def rows_of(parts: Iterable[ScaledColumns], width: int) -> Tensor:
    """Returns the neurons in force, [n, 2 d + 1] float32 with w, b and u in each row, in canonical order.

    Args:
        parts: columns in force; their order does not matter.
        width: d, of the residual stream.
    """
    rows = [
        torch.cat([v.to_float(), torch.ldexp(scaled(u.mantissa, scale), u.exponent.double())]).T.float()
        for u, v, scale in parts
    ]
    if not rows:
        return torch.zeros(0, 2 * width + 1)
    joined = torch.cat(rows)
    order = sorted(range(len(joined)), key=lambda row: joined[row].numpy().tobytes())
    return joined[order].contiguous()
