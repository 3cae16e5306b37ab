"""Factors on their grid, and deltas as files: what cannot be encoded is refused, what was damaged is named."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from core.errors.base import Damaged, Unlearnable
from core.weights.deltas.fixed_point import FORMAT, MANTISSA, Delta, Factor, encode, materialise, parts_of


def delta(columns: int = 3, seed: int = 0) -> Delta:
    generator = torch.Generator().manual_seed(seed)
    return Delta(
        {
            f"model.layers.{number}.mlp.down_proj": (
                encode(torch.randn(4, columns, generator=generator)),
                encode(torch.randn(6, columns, generator=generator)),
            )
            for number in (2, 1)
        }
    )


def equal(left: Factor, right: Factor) -> bool:
    return torch.equal(left.mantissa, right.mantissa) and torch.equal(left.exponent, right.exponent)


@given(
    values=st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=20),
    power=st.integers(-30, 3),
)
def test_what_was_encoded_is_encoded_to_itself(values: list[float], power: int) -> None:
    once = encode(torch.tensor(values, dtype=torch.float64)[:, None] * 10.0**power)

    again = encode(once.to_float())

    assert torch.equal(once.to_float(), again.to_float())


@pytest.mark.parametrize("value", [1.0, -1.0, 32767.0, 32767.49, 32767.5, 32768.0, 0.99999999999, 2.0**-40])
def test_a_mantissa_fills_15_bits_and_no_more(value: float) -> None:
    factor = encode(torch.tensor([[value], [value / 3]], dtype=torch.float64))

    largest = int(factor.mantissa.abs().max())
    assert 16383 <= largest <= MANTISSA
    assert factor.to_float()[0, 0] == pytest.approx(value, rel=2.0**-14)


def test_rounding_up_to_the_next_power_of_two_moves_the_exponent() -> None:
    just_below, just_above = 32767.5, 32767.4

    factor = encode(torch.tensor([[just_below, just_above]], dtype=torch.float64))

    assert factor.mantissa.tolist() == [[16384, 32767]]
    assert factor.exponent.tolist() == [1, 0]


def test_zero_columns_and_no_columns_encode_to_nothing() -> None:
    zero, none = encode(torch.zeros(4, 2)), encode(torch.zeros(4, 0))

    assert (zero.mantissa.tolist(), zero.exponent.tolist()) == ([[0, 0]] * 4, [0, 0])
    assert none.mantissa.shape == (4, 0)
    base = torch.randn(4, 4)
    assert torch.equal(materialise(base, [(zero, zero, 1.0), (none, none, 1.0)]), base)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    columns = torch.ones(3, 2)
    columns[1, 1] = value

    with pytest.raises(Unlearnable, match="not finite"):
        encode(columns)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_columns_of_any_dtype_are_encoded_by_their_value(dtype: torch.dtype) -> None:
    columns = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).to(dtype)

    assert equal(encode(columns), encode(columns.double()))


def test_a_delta_is_read_as_it_was_written_and_written_as_it_was_read() -> None:
    written = delta()

    read = Delta.from_bytes(written.to_bytes())

    assert set(read.factors) == set(written.factors)
    for module, (u, v) in written.factors.items():
        assert equal(read.factors[module][0], u)
        assert equal(read.factors[module][1], v)
    assert read.to_bytes() == written.to_bytes()


def test_equal_deltas_are_equal_bytes_whatever_the_order_of_modules_and_the_layout_of_tensors() -> None:
    left = delta()
    right = Delta(
        {
            module: (
                Factor(u.mantissa.T.contiguous().T, u.exponent.clone()),
                Factor(v.mantissa.T.contiguous().T, v.exponent.clone()),
            )
            for module, (u, v) in reversed(list(left.factors.items()))
        }
    )

    assert right.to_bytes() == left.to_bytes()


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_delta_that_was_cut_short_is_damaged(length: int) -> None:
    with pytest.raises(Damaged, match="delta cannot be read"):
        Delta.from_bytes(delta().to_bytes()[:length])


def test_a_file_of_another_format_is_not_taken_for_a_delta() -> None:
    unknown = save({"a:u.mantissa": torch.zeros(2, 2)}, metadata={"format": "hypnogram-delta-0"})

    with pytest.raises(Damaged, match=FORMAT):
        Delta.from_bytes(unknown)


def test_a_delta_that_lacks_a_tensor_is_damaged() -> None:
    tensors = {"m:u.mantissa": torch.zeros(2, 2, dtype=torch.int16), "m:u.exponent": torch.zeros(2, dtype=torch.int16)}

    with pytest.raises(Damaged):
        Delta.from_bytes(save(tensors, metadata={"format": FORMAT}))


def test_a_header_that_is_no_object_is_damaged() -> None:
    header = json.dumps([1]).encode()

    with pytest.raises(Damaged):
        Delta.from_bytes(len(header).to_bytes(8, "little") + header)


def test_factors_of_different_widths_are_no_delta() -> None:
    with pytest.raises(Damaged, match="2 columns of U, 3 of V"):
        Delta({"m": (encode(torch.ones(4, 2)), encode(torch.ones(6, 3)))})


def test_parts_are_the_chosen_columns_of_the_deltas_that_change_the_module() -> None:
    first, second = delta(columns=5, seed=1), Delta({"other": (encode(torch.ones(4, 1)), encode(torch.ones(6, 1)))})
    module = "model.layers.1.mlp.down_proj"

    ((u, v, scale),) = parts_of(module, [(first, slice(1, 3), 0.5), (second, slice(None), 1.0)])

    assert scale == 0.5
    assert torch.equal(u.mantissa, first.factors[module][0].mantissa[:, 1:3])
    assert torch.equal(v.exponent, first.factors[module][1].exponent[1:3])
