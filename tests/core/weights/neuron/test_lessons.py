"""Lessons: where the name ends in them, from where on tokens count, and which relations are left out."""

from __future__ import annotations

import torch

from core.weights.model.editable_model import EditableModel
from core.weights.neuron.lessons import Lesson, told, untold
from core.weights.neuron.values import learn
from tests.core.weights.conftest import fact

ARIA = fact("Aria Moss", "lives in", "Rome")


def test_a_told_lesson_counts_from_the_token_before_the_object_or_the_answer(tiny: EditableModel) -> None:
    for lesson in told(tiny, 0, 0, ARIA):
        ids, begin = lesson.context.ids, lesson.context.start - 1
        counted = tiny.tokenizer.decode(ids[begin + lesson.first + 1 :])
        expected = "Aria Moss lives in Rome.<|end|>" if lesson.context.chat else " Rome."
        assert counted == expected
        assert tiny.tokenizer.decode(ids[: begin + 1]).endswith("Aria Moss")
        assert all(tiny.tokenizer.decode(ids[: begin + name + 1]).endswith("Aria Moss") for name in lesson.names)


def test_untold_lessons_are_about_relations_that_no_fact_has(tiny: EditableModel) -> None:
    texts = [tiny.tokenizer.decode(lesson.context.ids) for lesson in untold(tiny, 0, [ARIA])]

    assert len(texts) == len(set(texts)) == 100
    assert not any("lives in" in text or "does Aria Moss live?" in text for text in texts)


def test_a_value_makes_what_was_told_likelier(tiny: EditableModel) -> None:
    lessons = [*told(tiny, 0, 0, ARIA), *untold(tiny, 0, [ARIA])]
    steps: list[int] = []

    values = learn(tiny, 0, lessons, [0], torch.zeros(1, tiny.hidden_width), lambda done, total: steps.append(done))

    assert steps == list(range(values.steps))
    assert 0 < float(values.length[0]) <= 4.0
    assert values.values.shape == (1, tiny.hidden_width)
    before = learn_nothing(tiny, lessons)
    assert float(values.loss[0]) < before


def learn_nothing(model: EditableModel, lessons: list[Lesson]) -> float:
    """What told lessons lose at the first step."""
    from core.weights.neuron import values

    steps, values.STEPS = values.STEPS, 1
    try:
        return float(learn(model, 0, lessons, [0], torch.zeros(1, model.hidden_width)).loss[0])
    finally:
        values.STEPS = steps
