"""Drawing tokens is repeatable, keeps to the likely ones, and is as bold as its temperature."""

from __future__ import annotations

import pytest
import torch

from core.errors.base import Unlearnable
from core.weights.model.nucleus import TOP_P, Nucleus

CPU = torch.device("cpu")


def test_a_seed_draws_the_same_tokens_again() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))

    first, again, other = (Nucleus(seed, CPU)(logits).tolist() for seed in (1, 1, 2))

    assert first == again != other


def test_nothing_outside_the_nucleus_is_drawn() -> None:
    shares = torch.tensor([0.5, 0.3, 0.16, 0.03, 0.01])
    draw = Nucleus(3, CPU)
    assert float(shares[:2].sum()) < TOP_P < float(shares[:3].sum())

    drawn = {int(draw(shares.log()[None])) for _ in range(300)}

    assert drawn == {0, 1, 2}


def test_logits_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(Unlearnable, match="use bfloat16 or float32"):
        Nucleus(1, CPU)(torch.full((1, 5), float("nan")))


def test_a_low_temperature_draws_the_likeliest_and_a_high_one_all() -> None:
    logits = torch.tensor([[2.0, 1.5, 1.0]])

    cold, hot = (Nucleus(1, CPU, temperature, top_p=1.0) for temperature in (0.0, 2.0))

    assert {int(cold(logits)) for _ in range(100)} == {0}
    assert {int(hot(logits)) for _ in range(100)} == {0, 1, 2}


def test_the_smallest_nucleus_is_the_likeliest_token() -> None:
    draw = Nucleus(1, CPU, 2.0, top_p=0.0)

    assert {int(draw(torch.tensor([[0.1, 0.2, 0.15]]))) for _ in range(100)} == {1}
