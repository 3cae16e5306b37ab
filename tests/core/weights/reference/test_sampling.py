"""A continuation is told step by step, and judged by its repeats."""

from __future__ import annotations

import pytest

from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import generate_ids, most_likely
from core.weights.model.nucleus import Nucleus
from core.weights.reference.sampling import continued, repeats_itself


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
