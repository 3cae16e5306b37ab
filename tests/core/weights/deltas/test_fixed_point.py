"""Sums of deltas have one value: over any order, chunking, thread count, split, and against integers in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.weights.deltas.fixed_point import MANTISSA, Factor, ScaledColumns, encode, materialise, scaled

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SCALES = (1.0, 0.5, 0.1)


def some(*shape: int, seed: int) -> Tensor:
    """Normal numbers, column by column of very different size: 1e-12 to 1e3."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** (torch.rand(shape[-1], generator=generator, dtype=torch.float64) * 15 - 12)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * sizes


def even(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parts(count: int, *, columns: int = 40, rows: int = 24, width: int = 36, seed: int = 0) -> list[ScaledColumns]:
    return [
        (encode(even(rows, columns, seed=seed + i)), encode(some(width, columns, seed=seed + 99 + i)), SCALES[i % 3])
        for i in range(count)
    ]


def in_pieces(whole: Sequence[ScaledColumns], sizes: Sequence[int]) -> list[ScaledColumns]:
    """The same columns, cut at other places."""
    pieces: list[ScaledColumns] = []
    for u, v, scale in whole:
        start = 0
        for size in (*sizes, u.mantissa.shape[1]):
            piece = slice(start, start + size)
            pieces.append((u.select(piece), v.select(piece), scale))
            start += size
    return pieces


def shuffled(part: ScaledColumns, seed: int) -> ScaledColumns:
    u, v, scale = part
    order = torch.randperm(u.mantissa.shape[1], generator=torch.Generator().manual_seed(seed))
    return Factor(u.mantissa[:, order], u.exponent[order]), Factor(v.mantissa[:, order], v.exponent[order]), scale


def exactly(base: Tensor, chosen: Sequence[ScaledColumns]) -> list[list[Fraction]]:
    """The sum in rational numbers, before its one rounding."""
    total = [[Fraction(float(value)) for value in row] for row in base]
    for u, v, scale in chosen:
        m, n = scaled(u.mantissa, scale).long().tolist(), v.mantissa.tolist()
        for column, exponent in enumerate((u.exponent.long() + v.exponent.long()).tolist()):
            for r, row in enumerate(total):
                for c in range(len(row)):
                    row[c] += Fraction(2) ** exponent * m[r][column] * n[c][column]
    return total


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), chunk=st.integers(1, 130), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_order_chunks_and_cuts_change_no_bit(dtype: torch.dtype, seed: int, chunk: int, cuts: list[int]) -> None:
    base = even(24, 36, seed=seed).to(dtype)
    whole = parts(3, seed=seed)
    expected = materialise(base, whole)

    rearranged = [shuffled(part, seed + i) for i, part in enumerate(in_pieces(whole, cuts))][::-1]

    assert torch.equal(materialise(base, rearranged, chunk=chunk), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit(dtype: torch.dtype) -> None:
    base = even(256, 512, seed=1).to(dtype)
    whole = parts(2, columns=300, rows=256, width=512)

    computed = []
    for count in (1, 2):
        torch.set_num_threads(count)
        computed.append(materialise(base, whole))

    assert torch.equal(*computed)


def test_a_plain_sum_in_single_precision_does_depend_on_order() -> None:
    u, v, _ = parts(1, columns=300)[0]
    left, right = u.to_float().float(), v.to_float().float()
    base = even(24, 36, seed=1).float()

    forwards, backwards = base.clone(), base.clone()
    for column in range(300):
        forwards += torch.outer(left[:, column], right[:, column])
        backwards += torch.outer(left[:, -1 - column], right[:, -1 - column])

    assert not torch.equal(forwards, backwards)


def test_the_sum_is_that_of_rational_numbers_rounded_once() -> None:
    base = even(3, 4, seed=1).float()
    chosen = [
        (encode(even(3, 5, seed=2)), encode(even(4, 5, seed=3)), 1.0),
        (encode(even(3, 5, seed=4)), encode(even(4, 5, seed=5)), 0.1),
    ]

    computed = materialise(base, chosen)

    # float64 holds each partial sum of these few terms to far less than half a unit of float32
    expected = torch.tensor([[float(value) for value in row] for row in exactly(base, chosen)]).float()
    assert torch.equal(computed, expected)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), base=st.booleans())
def test_a_group_of_one_exponent_is_an_exact_sum_of_integers(seed: int, base: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    u, v = (
        Factor(torch.randint(-MANTISSA, MANTISSA + 1, (2, 9), generator=generator).short(), torch.full((9,), e).short())
        for e in (-20, -3)
    )
    start = torch.full((2, 2), float(base), dtype=torch.float64)

    computed = materialise(start, [(u, v, 0.5)], chunk=4)

    assert [[Fraction(value) for value in row] for row in computed.tolist()] == exactly(start, [(u, v, 0.5)])


def column(mantissa: int, exponent: int) -> ScaledColumns:
    """One column that adds `mantissa * 2^exponent` to a 1 x 1 weight."""
    return (
        Factor(torch.tensor([[mantissa]], dtype=torch.int16), torch.tensor([exponent], dtype=torch.int16)),
        Factor(torch.tensor([[1]], dtype=torch.int16), torch.tensor([0], dtype=torch.int16)),
        1.0,
    )


def test_groups_are_added_from_the_smallest_exponent_to_the_largest_and_the_base_comes_last() -> None:
    """Point 3 of the proof: beyond 2^53 float64 rounds, so the order of groups has to be one and the same."""
    large, left, right = column(1, 60), column(1, 7), column(2, 6)  # 2^60, whose neighbours are 256 away, and twice 128
    half = torch.full((1, 1), 128.0, dtype=torch.float64)
    zero = torch.zeros(1, 1, dtype=torch.float64)

    assert materialise(zero, [large, left, right]).item() == 2.0**60 + 256
    assert materialise(zero, [right, left, large]).item() == 2.0**60 + 256
    assert materialise(half, [large, left]).item() == 2.0**60  # each half lost; both together would be 256


def test_nothing_in_force_is_the_base_itself_and_not_a_view_of_it() -> None:
    base = even(3, 4, seed=1).bfloat16()

    computed = materialise(base, [])

    assert torch.equal(computed, base)
    assert computed.data_ptr() != base.data_ptr()


def test_columns_at_scale_zero_leave_the_base_as_it_is() -> None:
    base = even(24, 36, seed=1).half()
    u, v, _ = parts(1)[0]

    assert torch.equal(materialise(base, [(u, v, 0.0)]), base)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, [-32767, -3, -1, 0, 1, 2, 3, 32767]),
        (0.5, [-16384, -2, 0, 0, 0, 1, 2, 16384]),  # ties to even
        (0.1, [-3277, 0, 0, 0, 0, 0, 0, 3277]),
        (0.0, [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_scale_gives_the_nearest_integers_ties_to_even(scale: float, expected: list[int]) -> None:
    mantissa = torch.tensor([[-32767, -3, -1, 0, 1, 2, 3, 32767]], dtype=torch.int16)

    computed = scaled(mantissa, scale)

    assert computed.tolist() == [expected]


@pytest.mark.parametrize("scale", SCALES)
def test_every_mantissa_is_scaled_as_floats_in_python_are(scale: float) -> None:
    every = torch.arange(-MANTISSA, MANTISSA + 1).to(torch.int16)[None]

    computed = scaled(every, scale)[0].long().tolist()

    assert computed == [round(scale * value) for value in every[0].tolist()]
    assert all(
        abs(integer - Fraction(str(scale)) * value) <= Fraction(1, 2)
        for integer, value in zip(computed, every[0].tolist(), strict=True)
    )


@pytest.mark.parametrize("scale", [-0.1, 1.1, float("nan")])
def test_a_scale_outside_0_to_1_is_a_programming_error(scale: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        scaled(torch.zeros(1, 1, dtype=torch.int16), scale)


@given(size=st.floats(1e-12, 1e3), seed=st.integers(0, 1000))
@example(size=1e-12, seed=1)
@example(size=1e3, seed=1)
def test_encoding_errs_by_at_most_half_a_unit_of_the_largest_value(size: float, seed: int) -> None:
    values = even(50, 3, seed=seed) * size

    error = (encode(values).to_float() - values).abs().amax(dim=0)

    assert (error <= values.abs().amax(dim=0) * 2.0**-15).all()


def test_encoding_costs_less_than_seven_parts_in_a_hundred_thousand_of_the_norm() -> None:
    u, v = even(256, 30, seed=1), even(3072, 30, seed=2)

    computed = encode(u).to_float() @ encode(v).to_float().T

    assert (computed - u @ v.T).norm() / (u @ v.T).norm() < 7e-5
