"""Lessons: where the name ends in them, from where on tokens count, and which relations are left out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.support.tiny import make
from core.library import entry_of
from core.weights.model.editable_model import EditableModel, load_model
from core.weights.model.generation import generate_ids
from core.weights.neuron.lessons import ANSWERED, CONTINUED, told, untold
from core.weights.neuron.values import MORE, OF_NEURONS, learn
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
    texts = [tiny.tokenizer.decode(lesson.context.ids) for lesson in untold(tiny, [[ARIA]])]

    assert len(texts) == len(set(texts)) == 100
    assert not any("lives in" in text or "does Aria Moss live?" in text for text in texts)


def test_untold_lessons_go_on_as_the_model_does(tiny: EditableModel) -> None:
    lengths = []
    for lesson in list(untold(tiny, [[ARIA]]))[::25]:
        ids, asked = list(lesson.context.ids), lesson.context.start + lesson.first
        limit = ANSWERED if lesson.context.chat else CONTINUED
        said = generate_ids(tiny, [ids[:asked]], sentence=not lesson.context.chat, max_new_tokens=limit)[0]

        assert tiny.tokenizer.decode(ids[asked:]).startswith(tiny.tokenizer.decode(said).rstrip())
        lengths.append(len(said))
    assert max(lengths) == ANSWERED


@pytest.mark.parametrize("relation", ["works as", "'s job is", "'s profession is"])
def test_no_untold_lesson_asks_what_was_told_in_other_words(tiny: EditableModel, relation: str) -> None:
    entry = entry_of(relation, "a cook")
    assert entry

    texts = [
        tiny.tokenizer.decode(lesson.context.ids) for lesson in untold(tiny, [[fact("Bo", relation, "a cook")]], 1000)
    ]

    assert len(texts) > 100
    asked = entry.words.for_model("Bo").questions
    assert not any(question in text for question in asked for text in texts)


def test_a_value_makes_what_was_told_likelier(tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base", scale=0.3))  # of weights so large that a token heeds earlier ones
    lessons, nothing, taken = list(told(model, 0, 0, ARIA))[:3], torch.zeros(1, model.hidden_width), list[int]()

    learned = learn(model, 0, lessons, [0], nothing, OF_NEURONS, lambda done, total: taken.append(done))
    unlearned = learn(model, 0, lessons, [0], nothing, replace(OF_NEURONS, steps=1, rounds=0))

    assert sorted(set(taken)) == list(range(30))
    assert len(taken) == learned.steps
    assert learned.values.shape == (1, model.hidden_width)
    assert 0 < float(learned.length[0]) <= OF_NEURONS.clamp
    assert float(learned.loss[0]) < 0.95 * float(unlearned.loss[0])
    assert math.isfinite(float(unlearned.loss[0]))


def test_steps_go_on_while_a_first_wording_is_not_predicted(tmp_path: Path) -> None:
    model, nothing = load_model(make(tmp_path / "base", scale=0.3)), torch.zeros(1, 32)
    idle = replace(OF_NEURONS, steps=1, rate=0.0)
    new = next(told(model, 0, 0, ARIA))
    asked = new.context.ids[: new.context.start + new.first]
    ids = (*asked, *generate_ids(model, [asked], sentence=False, max_new_tokens=1)[0])
    known = replace(new.context, ids=ids, names=("",) * (len(ids) - new.context.start))

    assert learn(model, 0, [new], [0], nothing, idle).steps == 1 + idle.rounds * MORE
    assert learn(model, 0, [replace(new, context=known)], [0], nothing, idle).steps == 1


def test_a_subject_that_is_learned_leaves_the_rounds_of_another(tmp_path: Path) -> None:
    model, nothing = load_model(make(tmp_path / "base", scale=0.3)), torch.zeros(2, 32)
    search = replace(OF_NEURONS, steps=1, rate=1e-3)
    new = next(told(model, 1, 1, fact("Bo Carr", "lives in", "Rome")))
    lesson = next(told(model, 0, 0, ARIA))
    asked = lesson.context.ids[: lesson.context.start + lesson.first]
    ids = (*asked, *generate_ids(model, [asked], sentence=False, max_new_tokens=1)[0])
    known = replace(lesson, context=replace(lesson.context, ids=ids, names=("",) * (len(ids) - lesson.context.start)))

    both = learn(model, 0, [known, new], [0, 1], nothing, search)

    assert both.steps == 1 + search.rounds * MORE
    alone = learn(model, 0, [known], [0], nothing[:1], search)
    assert alone.steps == 1
    torch.testing.assert_close(both.values[:1], alone.values)
    assert not torch.equal(
        both.values[1:], learn(model, 0, [known, new], [0, 1], nothing, replace(search, rounds=0)).values[1:]
    )
