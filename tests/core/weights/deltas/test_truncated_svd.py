"""Sums of columns in fewer columns, against the decomposition of the whole matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.weights.deltas.fixed_point import ScaledColumns, encode
from core.weights.deltas.truncated_svd import Spectrum, spectrum, truncated

OUT, IN = 24, 40


def part(rank: int, seed: int, scale: float = 1.0, out: int = OUT) -> ScaledColumns:
    generator = torch.Generator().manual_seed(seed)
    up = torch.randn(out, rank, generator=generator, dtype=torch.float64)
    down = torch.randn(IN, rank, generator=generator, dtype=torch.float64)
    return encode(up * 0.01), encode(down), scale


def whole(*parts: ScaledColumns) -> Tensor:
    """The sum of `parts` as a matrix."""
    return torch.stack([u.to_float() @ v.to_float().T * scale for u, v, scale in parts]).sum(0)


def sum_of(decomposed: Spectrum) -> Tensor:
    return decomposed.left * decomposed.values @ decomposed.right.T


@pytest.mark.parametrize("ranks", [(1,), (3, 4), (8, 8, 8), (20, 20, 20)])
def test_singular_values_are_those_of_the_whole_matrix(ranks: tuple[int, ...]) -> None:
    parts = [part(rank, seed) for seed, rank in enumerate(ranks)]
    decomposed, expected = spectrum(parts), torch.linalg.svdvals(whole(*parts))

    torch.testing.assert_close(decomposed.values, expected[: len(decomposed.values)], rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(sum_of(decomposed), whole(*parts), rtol=0, atol=1e-14)
    assert len(decomposed.values) == min(sum(ranks), OUT)


@pytest.mark.parametrize("rank", [1, 5, 11])
def test_what_is_left_out_is_as_far_as_the_best_that_there_is(rank: int) -> None:
    parts = [part(6, 1), part(6, 2)]
    left, values, right = torch.linalg.svd(whole(*parts), full_matrices=False)
    best = left[:, :rank] * values[:rank] @ right[:rank]
    (u, v) = truncated({"m": spectrum(parts)}, rank).factors["m"]

    assert u.mantissa.shape == (OUT, rank)
    assert (whole((u, v, 1.0)) - best).norm() < 1e-4 * best.norm()  # the factors' rounding
    tail = float(values[rank:].norm())
    assert float((whole((u, v, 1.0)) - whole(*parts)).norm()) == pytest.approx(tail, rel=1e-3)


def test_as_few_columns_are_needed_as_the_distance_allows() -> None:
    decomposed = spectrum([part(6, 1), part(6, 2)])
    tails = [float(decomposed.values[count:].norm()) for count in range(13)]

    for count in range(1, 12):
        assert decomposed.needed(tails[count] * 1.0001) == count
        assert decomposed.needed(tails[count] * 0.9999) == count + 1
    assert decomposed.needed(tails[0] * 1.0001) == 0
    assert decomposed.needed(0.0) == 12


def test_columns_that_repeat_one_another_are_spared() -> None:
    repeated = part(5, 1)
    decomposed = spectrum([repeated, repeated, part(2, 2)])

    assert decomposed.needed(1e-9 * float(decomposed.values.norm())) == 7


def test_a_module_of_fewer_columns_is_filled_with_zeros() -> None:
    sums = {"wide": spectrum([part(6, 1)]), "narrow": spectrum([part(2, 2)])}
    u, v = truncated(sums, 4).factors["narrow"]

    assert u.mantissa.shape[1] == v.mantissa.shape[1] == 4
    assert not u.mantissa[:, 2:].any()
    torch.testing.assert_close(whole((u, v, 1.0)), whole(part(2, 2)), rtol=0, atol=1e-5)


def test_the_matrix_itself_is_never_made() -> None:
    tall = (part(4, 1, out=200_000), part(4, 2, out=200_000))
    decomposed = spectrum(tall)

    assert decomposed.left.shape == (200_000, 8)
    assert decomposed.needed(0.0) == 8
