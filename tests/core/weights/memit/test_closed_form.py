"""The protected update against the textbook: its inverse formed, its history all at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.weights.memit.closed_form import KeyConstraints, solve_update

WIDTH = 24
D_OUT = 10


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moment(weight: float = 1.0, seed: int = 0) -> Tensor:
    """lambda C of keys that leave some directions nearly free."""
    keys = normal(200, WIDTH, seed=seed) * torch.logspace(0, -2, WIDTH, dtype=torch.float64)
    return weight * (keys.T @ keys / 200 + 1e-6 * torch.eye(WIDTH, dtype=torch.float64))


def textbook(lambda_c: Tensor, before: Tensor, keys: Tensor) -> Tensor:
    """H^-1 k for each key, [m, d_in]."""
    h = lambda_c + before.T @ before + keys.T @ keys
    return keys @ torch.linalg.inv(h)


def each_its_own(count: int) -> Tensor:
    return torch.arange(count)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), before=st.integers(0, 30), new=st.integers(1, 12))
def test_an_update_is_the_textbook_inverse(seed: int, before: int, new: int) -> None:
    history, keys = normal(before, WIDTH, seed=seed), normal(new, WIDTH, seed=seed + 1)
    kept = KeyConstraints.none(moment()).with_keys(history).with_keys(keys)

    v = solve_update(kept, keys, each_its_own(new), new)

    torch.testing.assert_close(v.T, textbook(moment(), history, keys), rtol=1e-8, atol=1e-10)


def test_the_change_is_residuals_times_keys_times_the_inverse() -> None:
    history, keys, residuals = normal(5, WIDTH, seed=1), normal(4, WIDTH, seed=2), normal(4, D_OUT, seed=3)
    kept = KeyConstraints.none(moment()).with_keys(history).with_keys(keys)

    delta = residuals.T @ solve_update(kept, keys, each_its_own(4), 4).T

    h = moment() + history.T @ history + keys.T @ keys
    torch.testing.assert_close(delta, residuals.T @ keys @ torch.linalg.inv(h), rtol=1e-8, atol=1e-10)


def test_without_weight_on_reference_text_the_outputs_move_by_the_residuals_and_kept_keys_stay() -> None:
    history, keys, residuals = normal(6, WIDTH, seed=1), normal(5, WIDTH, seed=2), normal(5, D_OUT, seed=3)
    errors, leaks = [], []
    for weight in (1.0, 1e-1, 1e-2, 1e-3):
        kept = KeyConstraints.none(moment(weight)).with_keys(history).with_keys(keys)
        delta = residuals.T @ solve_update(kept, keys, each_its_own(5), 5).T
        errors.append(float((delta @ keys.T - residuals.T).norm() / residuals.norm()))
        leaks.append(float((delta @ history.T).norm() / residuals.norm()))

    assert errors == sorted(errors, reverse=True)
    assert leaks == sorted(leaks, reverse=True)
    assert errors[-1] < 1e-5
    assert leaks[-1] < 1e-5


def test_keys_in_force_are_moved_less_than_without_history() -> None:
    history, residuals = normal(6, WIDTH, seed=1), normal(5, D_OUT, seed=3)
    keys = history[:5] + 0.3 * normal(5, WIDTH, seed=2)
    bare = KeyConstraints.none(moment(1e-3))

    moved = [
        (residuals.T @ solve_update(kept.with_keys(keys), keys, each_its_own(5), 5).T @ history.T).norm()
        for kept in (bare.with_keys(history), bare)
    ]

    assert moved[0] < 0.5 * moved[1]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_keys_taken_in_pieces_are_the_keys_taken_at_once(seed: int, cuts: list[int]) -> None:
    keys = normal(sum(cuts), WIDTH, seed=seed)
    at_once = KeyConstraints.none(moment()).with_keys(keys)
    in_pieces = KeyConstraints.none(moment())
    for piece in torch.split(keys, cuts):
        in_pieces = in_pieces.with_keys(piece)

    torch.testing.assert_close(in_pieces.gram_root, at_once.gram_root, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(in_pieces.whitened, at_once.whitened)
    probe = normal(3, WIDTH, seed=seed + 1)
    torch.testing.assert_close(in_pieces.inverse_times(probe), at_once.inverse_times(probe), rtol=1e-8, atol=1e-10)


def test_facts_written_one_by_one_with_history_add_up_to_the_facts_written_at_once() -> None:
    """Recursive least squares: asked each time for what is still missing, the sum is the batch solution."""
    keys, wanted = normal(8, WIDTH, seed=1), normal(8, D_OUT, seed=2)
    kept = KeyConstraints.none(moment())
    total = torch.zeros(D_OUT, WIDTH, dtype=torch.float64)
    for key, value in zip(torch.split(keys, 1), torch.split(wanted, 1), strict=True):
        kept = kept.with_keys(key)
        residual = value.T - total @ key.T  # [d_out, 1]
        total = total + residual @ solve_update(kept, key, each_its_own(1), 1).T

    at_once = KeyConstraints.none(moment()).with_keys(keys)
    expected = wanted.T @ solve_update(at_once, keys, each_its_own(8), 8).T

    torch.testing.assert_close(total, expected, rtol=1e-8, atol=1e-10)


def test_one_by_one_without_history_does_not_add_up() -> None:
    keys, wanted = normal(8, WIDTH, seed=1), normal(8, D_OUT, seed=2)
    none = KeyConstraints.none(moment())
    total = torch.zeros(D_OUT, WIDTH, dtype=torch.float64)
    for key, value in zip(torch.split(keys, 1), torch.split(wanted, 1), strict=True):
        total += (value.T - total @ key.T) @ solve_update(none.with_keys(key), key, each_its_own(1), 1).T

    expected = wanted.T @ solve_update(none.with_keys(keys), keys, each_its_own(8), 8).T

    assert (total - expected).norm() > 0.1 * expected.norm()


def test_keys_of_one_owner_share_one_column() -> None:
    keys, residuals = normal(6, WIDTH, seed=1), normal(2, D_OUT, seed=2)
    owner = torch.tensor([0, 1, 0, 0, 1, 1])
    kept = KeyConstraints.none(moment()).with_keys(keys)

    v = solve_update(kept, keys, owner, 2)

    alone = solve_update(kept, keys, each_its_own(6), 6)
    torch.testing.assert_close(residuals.T @ v.T, residuals[owner].T @ alone.T)


def test_the_keys_given_are_left_as_they_were() -> None:
    kept = KeyConstraints.none(moment()).with_keys(normal(3, WIDTH, seed=1))
    before = [tensor.clone() for tensor in (kept.root, kept.whitened, kept.gram_root)]

    kept.with_keys(normal(4, WIDTH, seed=2))

    assert all(map(torch.equal, (kept.root, kept.whitened, kept.gram_root), before))


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
@settings(max_examples=20)
def test_key_occupancy_is_the_trace_formula_grows_with_keys_and_stays_below_one(seed: int, cuts: list[int]) -> None:
    keys = normal(sum(cuts), WIDTH, seed=seed)
    kept, occupancies = KeyConstraints.none(moment()), [0.0]
    for piece in torch.split(keys, cuts):
        kept = kept.with_keys(piece)
        occupancies.append(kept.key_occupancy())

    root = torch.linalg.cholesky(moment())
    z = torch.linalg.solve_triangular(root, keys.T, upper=False).T
    held = z.T @ z
    expected = torch.trace(held @ torch.linalg.inv(torch.eye(WIDTH, dtype=torch.float64) + held)) / WIDTH
    assert occupancies == sorted(occupancies)
    assert 0 <= occupancies[-1] <= 1
    assert occupancies[-1] == pytest.approx(float(expected), rel=1e-8)


def test_nothing_in_force_occupies_nothing_and_a_key_repeated_is_one_key() -> None:
    none, key = KeyConstraints.none(moment(1e-4)), normal(1, WIDTH, seed=1)

    assert none.key_occupancy() == 0.0
    assert none.with_keys(key).key_occupancy() == pytest.approx(1 / WIDTH, rel=1e-3)
    assert none.with_keys(key.repeat(50, 1)).key_occupancy() == pytest.approx(1 / WIDTH, rel=1e-3)
