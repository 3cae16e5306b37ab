"""Sampling is repeatable, keeps to the likely tokens, and is judged by its repeats."""

from __future__ import annotations

import pytest
import torch

from core.errors.base import Unlearnable
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids, most_likely
from core.weights.reference.sampling import TOP_P, Nucleus, continued, repeats_itself

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


def test_a_greedy_continuation_is_that_of_the_generator(tiny: EditableModel) -> None:
    prompts = [tiny.raw_ids("The lamp stood"), tiny.raw_ids("Every evening a fox")]

    said = continued(tiny, prompts, 6, most_likely, lambda step: None)

    expected = generate_ids(tiny, prompts, sentence=False, max_new_tokens=6)
    assert [continuation.ids for continuation in said] == expected
    assert [continuation.ended for continuation in said] == [len(ids) < 6 for ids in expected]


def test_every_step_is_told(tiny: EditableModel) -> None:
    steps: list[int] = []

    continued(tiny, [tiny.raw_ids("A")], 4, Nucleus(1, tiny.device), steps.append)

    assert steps == list(range(1, len(steps) + 1))
    assert steps


@pytest.mark.parametrize(
    ("ids", "repeats"),
    [
        ([], False),
        ([1, 2, 3], False),
        (list(range(40)), False),
        ([1, 2, 3, 4, 5] * 8, True),
        ([7] * 30, True),
        ([*range(30), *range(5)], False),
    ],
)
def test_a_text_repeats_itself_if_its_runs_do(ids: list[int], repeats: bool) -> None:
    assert repeats_itself(ids) is repeats
