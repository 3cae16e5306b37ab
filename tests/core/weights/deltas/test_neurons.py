"""Neurons as columns of a delta: exact, in one order, scaled in their values alone."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from core.weights.deltas.digest import weights_digest
from core.weights.deltas.fixed_point import Delta, parts_of
from core.weights.deltas.neurons import encode_neurons, marks_of, rows_of

MLP = "model.layers.1.mlp"
WIDTH = 6
EMPTY = (torch.zeros(1, WIDTH), torch.zeros(1), torch.zeros(1, WIDTH))


def neurons(seed: int, count: int) -> Delta:
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 10.0

    return Delta({MLP: encode_neurons(drawn(count, WIDTH), drawn(count), drawn(count, WIDTH))})


def rows(*chosen: tuple[Delta, slice, float]) -> torch.Tensor:
    return rows_of(parts_of(MLP, chosen), WIDTH)


@given(st.integers(0, 99), st.integers(1, 5), st.permutations(range(5)))
def test_rows_do_not_depend_on_the_order_of_edits_or_on_how_they_are_grouped(
    seed: int, cut: int, order: list[int]
) -> None:
    delta = neurons(seed, 5)
    alone = [(delta, slice(number, number + 1), 1.0) for number in order]

    together = rows((delta, slice(0, 5), 1.0))

    assert torch.equal(rows(*alone), together)
    assert torch.equal(rows((delta, slice(cut, 5), 1.0), (delta, slice(0, cut), 1.0)), together)


def test_a_scale_changes_the_value_and_leaves_the_detector() -> None:
    delta = neurons(0, 1)

    full, half = rows((delta, slice(0, 1), 1.0)), rows((delta, slice(0, 1), 0.5))

    assert torch.equal(full[:, : WIDTH + 1], half[:, : WIDTH + 1])
    torch.testing.assert_close(half[:, WIDTH + 1 :], full[:, WIDTH + 1 :] / 2, atol=1e-3, rtol=1e-4)


def test_rows_are_the_integers_of_the_delta_exactly() -> None:
    delta = neurons(3, 1)
    u, v = delta.factors[MLP]

    row = rows((delta, slice(0, 1), 1.0))[0].double()

    assert torch.equal(row, torch.cat([v.to_float()[:, 0], u.to_float()[:, 0]]))


@given(st.permutations(range(3)), st.lists(st.sampled_from([0.0, 0.1, 1.0]), min_size=6, max_size=6))
def test_a_mark_stands_once_and_whole_as_long_as_a_fact_of_its_subject_does(
    order: list[int], scales: list[float]
) -> None:
    # given two subjects, with a copy of their mark and a column of zeros for each fact
    marks, none = [neurons(seed, 1) for seed in range(2)], Delta({MLP: encode_neurons(*EMPTY)})
    of_facts = [(marks[number // 3], slice(0, 1), scale) for number, scale in enumerate(scales)]
    told = [part for number in order for part in (of_facts[number], (none, slice(0, 1), 1.0), of_facts[number + 3])]

    standing = marks_of(parts_of(MLP, told), WIDTH)

    of_subjects = [max(scales[:3]), max(scales[3:])]
    expected = rows(*((mark, slice(0, 1), 1.0) for mark, scale in zip(marks, of_subjects, strict=True) if scale))
    assert torch.equal(standing, expected)


def test_an_mlp_without_neurons_leaves_the_digest_as_it_was() -> None:
    matrices = {"model.layers.1.mlp.down_proj": torch.ones(2, 2)}

    assert weights_digest({**matrices, MLP: rows()}) == weights_digest(matrices)
    assert weights_digest({**matrices, MLP: rows((neurons(0, 1), slice(0, 1), 1.0))}) != weights_digest(matrices)
