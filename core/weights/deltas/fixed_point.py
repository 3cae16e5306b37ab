"""Holds deltas as integers, so that a sum of them has one value on every machine.

A delta changes a module's weight by `U V^T`, one rank-1 term per column. Each column of U and of V is stored as int16
mantissas with one power-of-two exponent. The weight at a plan is

    W = round(W0 + sum over columns i of s_i * 2^(a_i + b_i) * m_i n_i^T)

with m_i, n_i integer vectors, |.| <= 32767. Why the bits do not depend on order, chunking, threads, BLAS or device:

1. Scaling by s replaces m_i by s * m_i as a float64, rounded to integers, ties to even: two IEEE-754 operations on each
   element and nothing else, one result everywhere; |.| <= 32767 still holds for 0 <= s <= 1.
2. Columns are grouped by the exponent e = a_i + b_i. Within a group every product m_i[r] * n_i[c] is an integer of
   magnitude <= 32767^2 < 2^30, and every partial sum, in any order, of at most 2^23 of them is an integer < 2^53.
   float64 holds each such integer exactly, with or without fused multiply-add, so a group's GEMM never rounds and is
   therefore independent of how it is computed.
3. Groups are added elementwise in ascending order of e, then the base, then one rounding to the weight's dtype.
   Multiplication by 2^e is exact (normal range), each addition is one IEEE-754 operation on fixed operands, and the
   order is fixed: one result.

The rounding of the factors itself costs about 7e-5 of the delta's norm, far below a bf16 weight's own rounding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.errors.base import Damaged, Unlearnable

MANTISSA = 32767
MAX_COLUMNS = 1 << 23  # of one exponent, see point 2
FORMAT = "hypnogram-delta-1"


@dataclass(frozen=True, slots=True)
class Factor:
    """Columns on a fixed-point grid: `mantissa[:, i] * 2**exponent[i]`.

    Attributes:
        mantissa: [rows, n] int16.
        exponent: [n] int16.
    """

    mantissa: Tensor
    exponent: Tensor

    def select(self, columns: slice | list[int]) -> Factor:
        """Returns some of the columns."""
        return Factor(self.mantissa[:, columns], self.exponent[columns])

    def beside(self, right: Factor) -> Factor:
        """Returns these columns, then those of `right`."""
        return Factor(torch.cat([self.mantissa, right.mantissa], dim=1), torch.cat([self.exponent, right.exponent]))

    def to_float(self) -> Tensor:
        """Returns [rows, n] float64, exactly."""
        return torch.ldexp(self.mantissa.double(), self.exponent.double())


@dataclass(frozen=True, slots=True)
class Delta:
    """What an edit adds to each module: (U, V) with U [d_out, n] and V [d_in, n]. Column i belongs to one fact."""

    factors: Mapping[str, tuple[Factor, Factor]]

    def __post_init__(self) -> None:
        for module, (u, v) in self.factors.items():
            if u.mantissa.shape[1] != v.mantissa.shape[1]:
                raise Damaged(f"delta of {module}: {u.mantissa.shape[1]} columns of U, {v.mantissa.shape[1]} of V")

    @property
    def columns(self) -> int:
        """Number of columns n, the same in every module."""
        return max((u.mantissa.shape[1] for u, _ in self.factors.values()), default=0)

    def select(self, columns: slice | list[int]) -> Delta:
        """Returns some of the columns, in every module."""
        return Delta({module: (u.select(columns), v.select(columns)) for module, (u, v) in self.factors.items()})

    def to_bytes(self) -> bytes:
        """Returns a safetensors file; equal deltas give equal bytes."""
        tensors: dict[str, Tensor] = {}
        for module in sorted(self.factors):
            for name, factor in zip("uv", self.factors[module], strict=True):
                tensors[f"{module}:{name}.mantissa"] = factor.mantissa.contiguous()
                tensors[f"{module}:{name}.exponent"] = factor.exponent.contiguous()
        return save(tensors, metadata={"format": FORMAT})

    @classmethod
    def from_bytes(cls, data: bytes) -> Delta:
        """Reads what `to_bytes` wrote. Raises Damaged for anything else."""
        try:
            length = int.from_bytes(data[:8], "little")
            metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
            tensors = load(data)
        except Exception as error:
            raise Damaged(f"a delta cannot be read: {error}") from error
        if metadata.get("format") != FORMAT:
            raise Damaged(f"a delta is of another format than {FORMAT}: upgrade hypnogram")
        try:
            modules = sorted({name.rpartition(":")[0] for name in tensors})
            return cls({module: (_factor(tensors, module, "u"), _factor(tensors, module, "v")) for module in modules})
        except KeyError as error:
            raise Damaged(f"a delta lacks the tensor {error}") from error


def _factor(tensors: Mapping[str, Tensor], module: str, name: str) -> Factor:
    return Factor(tensors[f"{module}:{name}.mantissa"], tensors[f"{module}:{name}.exponent"])


def encode(columns: Tensor) -> Factor:
    """Rounds columns to the nearest ones on the grid.

    Args:
        columns: [rows, n], finite.

    Raises:
        Unlearnable: a value is not finite.
    """
    values = columns.detach().double().cpu()
    if not torch.isfinite(values).all():
        raise Unlearnable("an edit has a value that is not finite: its optimisation diverged")
    largest = values.abs().amax(dim=0)  # [n]
    exponent = torch.frexp(largest).exponent.long() - 15  # largest < 2^(exponent + 15)
    mantissa = torch.ldexp(values, -exponent.double()).round()
    overflow = mantissa.abs().amax(dim=0) > MANTISSA  # 32767.5 and above rounds to 32768
    exponent = exponent + overflow
    mantissa = torch.ldexp(values, -exponent.double()).round()
    exponent = torch.where(largest == 0, 0, exponent)
    return Factor(mantissa.to(torch.int16), exponent.to(torch.int16))


def scaled(mantissa: Tensor, scale: float) -> Tensor:
    """Returns [rows, n] float64 integers nearest to `scale * mantissa`, ties to even: point 1 of the module's text."""
    if not 0.0 <= scale <= 1.0:
        raise ValueError(f"scale {scale} is outside 0..1")
    return (mantissa.double() * scale).round()


ScaledColumns = tuple[Factor, Factor, float]  # U [d_out, n], V [d_in, n], scale 0..1


def materialise(base: Tensor, parts: Iterable[ScaledColumns], chunk: int = 4096) -> Tensor:
    """Builds a module's weight: base plus scaled columns, rounded once (see the text at the top).

    Args:
        base: W0 [d_out, d_in] in the weight's dtype, on the device where the sum is to be made.
        parts: columns in force; their order does not matter.
        chunk: columns per GEMM; bounds memory, changes no bit.

    Returns:
        [d_out, d_in] in `base.dtype`.
    """
    chosen = list(parts)
    if not chosen:
        return base.clone()
    device = base.device
    m = torch.cat([scaled(u.mantissa, scale) for u, _, scale in chosen], dim=1).to(device)  # [d_out, n]
    n = torch.cat([v.mantissa.double() for _, v, _ in chosen], dim=1).to(device)  # [d_in, n]
    exponents = torch.cat([u.exponent.long() + v.exponent.long() for u, v, _ in chosen])  # [n]
    total = torch.zeros(base.shape, dtype=torch.float64, device=device)
    for exponent in torch.unique(exponents).tolist():  # ascending
        columns = torch.nonzero(exponents == exponent).squeeze(1).to(device)
        if len(columns) > MAX_COLUMNS:
            raise Damaged(f"{len(columns)} columns share an exponent, more than {MAX_COLUMNS} cannot be added exactly")
        group = torch.zeros_like(total)
        for start in range(0, len(columns), chunk):
            at_once = columns[start : start + chunk]
            group += m[:, at_once] @ n[:, at_once].T  # integers below 2^53: exact in any order
        total += group * 2.0**exponent
    return (total + base.double()).to(base.dtype)


def dense(parts: Iterable[ScaledColumns]) -> tuple[Tensor, Tensor]:
    """Returns U [d_out, n], scaled, and V [d_in, n] of `parts`, of which there is at least one; float64."""
    chosen = list(parts)
    u = torch.cat([scaled(u.mantissa, scale) * 2.0 ** u.exponent.double() for u, _, scale in chosen], dim=1)
    return u, torch.cat([v.to_float() for _, v, _ in chosen], dim=1)


def parts_of(module: str, deltas: Sequence[tuple[Delta, slice, float]]) -> list[ScaledColumns]:
    """Returns what `deltas` (delta, columns of it, scale) add to `module`."""
    return [
        (delta.factors[module][0].select(columns), delta.factors[module][1].select(columns), scale)
        for delta, columns, scale in deltas
        if module in delta.factors
    ]
