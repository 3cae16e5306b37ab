"""Keys in force, fact by fact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.ids import FactId
from core.weights.memit.preserved_keys import PreservedKeys

WIDTH = 12
ONE, TWO, THREE = FactId("one"), FactId("two"), FactId("three")


def nothing() -> PreservedKeys:
    return PreservedKeys.of_reference({name: torch.eye(WIDTH) for name in ("low", "high")}, torch.device("cpu"))


def keys(number: int, seed: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(number, WIDTH, generator=draw) for name in ("low", "high")}


def test_a_fact_that_leaves_takes_its_keys_and_no_others() -> None:
    first, last = keys(5, seed=1), keys(2, seed=2)
    owner = torch.tensor([0, 1, 0, 1, 1])

    left = nothing().joined([ONE, TWO], first, owner).joined([THREE], last, torch.zeros(2)).without({TWO})

    never = nothing().joined([ONE], {n: k[owner == 0] for n, k in first.items()}, torch.zeros(2))
    never = never.joined([THREE], last, torch.zeros(2))
    assert set(left.keys) == {ONE, THREE}
    probe = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(3))
    for name in ("low", "high"):
        torch.testing.assert_close(left.kept[name].inverse_times(probe), never.kept[name].inverse_times(probe))
    assert abs(left.key_occupancy() - never.key_occupancy()) < 1e-9


def test_the_most_crowded_module_counts_alone() -> None:
    """The trace formula of `KeyConstraints.key_occupancy` by hand: a key k costs |k|^2 / (1 + |k|^2) dimensions."""
    long, short = torch.zeros(1, WIDTH), torch.zeros(1, WIDTH)
    long[0, 0], short[0, 0] = 3.0, 1.0

    for keys_of in ({"low": long, "high": short}, {"low": short, "high": long}):
        held = nothing().joined([ONE], keys_of, torch.zeros(1))
        assert held.key_occupancy() == pytest.approx(9 / 10 / WIDTH)


def test_when_all_have_left_nothing_but_keys_of_reference_text_is_kept() -> None:
    left = nothing().joined([ONE], keys(3, seed=1), torch.zeros(3)).without({ONE})

    assert left.key_occupancy() == 0.0
    assert not left.keys


def test_a_fact_that_is_not_in_force_leaves_nothing_behind() -> None:
    held = nothing().joined([ONE], keys(3, seed=1), torch.zeros(3))

    assert held.without({TWO}) is held
