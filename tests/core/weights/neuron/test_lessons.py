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
from core.weights.neuron.edit import OF_EDITS
from core.weights.neuron.inputs import mlp_inputs
from core.weights.neuron.lessons import (
    ANSWERED,
    CONTINUED,
    Place,
    going_on,
    prompts_of,
    told,
    told_at_name,
    untold,
)
from core.weights.neuron.relations import others
from core.weights.neuron.values import MORE, SETTLING, learn, rate_at
from tests.core.weights.conftest import fact

ARIA = fact("Aria Moss", "lives in", "Rome")


def test_a_told_lesson_begins_where_its_prompt_ends_and_answers_by_the_object_alone(tiny: EditableModel) -> None:
    for lesson in told(tiny, 3, ARIA):
        ids, begin = lesson.context.ids, lesson.context.start - 1
        counted = tiny.tokenizer.decode(ids[begin + 1 :])
        assert counted == ("Rome.<|end|>" if lesson.context.chat else " Rome.")
        assert lesson.first == 0
        assert lesson.places == (Place(0, 2 * 3 + lesson.context.chat),)


def test_a_lesson_at_the_name_adds_values_at_every_occurrence_of_it(tiny: EditableModel) -> None:
    for lesson in told_at_name(tiny, 0, 0, ARIA, [4, 5]):
        ids, begin = lesson.context.ids, lesson.context.start - 1
        counted = tiny.tokenizer.decode(ids[begin + lesson.first + 1 :])
        assert counted == ("Aria Moss lives in Rome.<|end|>" if lesson.context.chat else " Rome.")
        assert tiny.tokenizer.decode(ids[: begin + 1]).endswith("Aria Moss")
        names = {place.position for place in lesson.places}
        assert all(tiny.tokenizer.decode(ids[: begin + name + 1]).endswith("Aria Moss") for name in names)
        assert [place.value for place in lesson.places] == [4, 5] * len(names)


def test_untold_lessons_go_on_as_the_model_does(tiny: EditableModel) -> None:
    prompts, lengths = prompts_of(tiny, fact("Bo Carr", "works as", "a cook"))[::5], []
    for prompt, lesson in zip(prompts, untold(tiny, 0, prompts)[0], strict=True):
        ids, asked = list(lesson.context.ids), lesson.context.start + lesson.first
        limit = ANSWERED if lesson.context.chat else CONTINUED
        said = generate_ids(tiny, [ids[:asked]], sentence=not lesson.context.chat, max_new_tokens=limit)[0]

        assert tuple(ids[:asked]) == prompt.ids
        assert ids[asked:] in (said, [*said, tiny.end_of_turn()])
        lengths.append(len(said))
    assert max(lengths) == ANSWERED


def test_what_the_mlp_reads_in_an_untold_lesson_is_read_as_the_model_goes_on(tiny: EditableModel) -> None:
    # given statements that begin with the name, which is run once for all of them, and questions
    about = fact("Bo Carr", "works as", "a cook")
    prompts = [prompt for prompt in prompts_of(tiny, about) if prompt.chat or prompt.text.startswith("Bo Carr ")]
    assert {prompt.chat for prompt in prompts} == {False, True}

    lessons, read = untold(tiny, 1, prompts)

    for lesson, rows in zip(lessons, read, strict=True):
        whole = mlp_inputs(tiny, 1, [lesson.context.ids[:-1], (tiny.pad_token,)])[0]
        assert len(rows) == len(lesson.context.names)
        torch.testing.assert_close(rows, whole[lesson.context.start - 1 :], rtol=1e-4, atol=1e-4)


def test_a_lesson_that_keeps_what_is_said_adds_values_at_the_name_alone(tiny: EditableModel) -> None:
    about = fact("Bo Carr", "works as", "a cook")
    prompts = prompts_of(tiny, about)[::7]

    for lesson, silent in zip(going_on(tiny, 3, prompts, about.subject, [5]), untold(tiny, 0, prompts)[0], strict=True):
        assert (lesson.learner, lesson.fact) == (3, None)
        assert (lesson.context.start, lesson.first) == (silent.context.start, silent.first)
        asked = lesson.context.start + lesson.first
        assert lesson.context.ids[:asked] == silent.context.ids[:asked]
        said, wanted = (tiny.tokenizer.decode(of.context.ids[asked:]) for of in (lesson, silent))
        assert said.startswith(wanted.rstrip())
        assert lesson.places[0] == Place(0, 5)


@pytest.mark.parametrize("relation", ["works as", "'s job is", "'s profession is"])
def test_no_other_relation_asks_what_was_told_in_other_words(relation: str) -> None:
    entry = entry_of(relation, "a cook")
    assert entry

    left = others(fact("Bo", relation, "a cook"))

    assert len(left) > 100
    assert entry not in left


def test_a_value_makes_what_was_told_likelier(tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base", scale=0.3))  # of weights so large that a token heeds earlier ones
    lessons, nothing, taken = told(model, 0, ARIA)[:3], torch.zeros(2, model.hidden_width), list[int]()

    learned = learn(model, 0, lessons, [0, 0], nothing, OF_EDITS, lambda done, total: taken.append(done))
    unlearned = learn(model, 0, lessons, [0, 0], nothing, replace(OF_EDITS, steps=1, rounds=0))

    assert sorted(set(taken)) == list(range(OF_EDITS.steps))
    assert len(taken) == learned.steps
    assert learned.values.shape == (2, model.hidden_width)
    assert 0 < float(learned.length[0]) <= OF_EDITS.clamp
    assert float(learned.loss[0]) < 0.95 * float(unlearned.loss[0])
    assert math.isfinite(float(unlearned.loss[0]))


def test_values_may_begin_with_others(tmp_path: Path) -> None:
    model = load_model(make(tmp_path / "base", scale=0.3))
    lessons, nothing = told(model, 0, ARIA)[:3], torch.zeros(2, model.hidden_width)
    learned = learn(model, 0, lessons, [0, 0], nothing, OF_EDITS)

    further = learn(model, 0, lessons, [0, 0], nothing, replace(OF_EDITS, steps=1, rounds=0), begin=learned.values)
    beside = learn(model, 0, lessons, [0, 0], learned.values, replace(OF_EDITS, steps=1, rounds=0))

    assert float(further.before[0]) < 0.95 * float(learned.before[0])
    torch.testing.assert_close(further.before, beside.before)
    moved = float((further.values - learned.values).norm())
    assert 0 < moved < 0.5 * float(learned.values.norm())


def test_steps_go_on_while_a_fact_is_not_learned(tmp_path: Path) -> None:
    model, nothing = load_model(make(tmp_path / "base", scale=0.3)), torch.zeros(2, 32)
    idle = replace(OF_EDITS, steps=1, rate=0.0)
    new, second = told(model, 0, ARIA)[:2]
    asked = new.context.ids[: new.context.start + new.first]
    ids = (*asked, *generate_ids(model, [asked], sentence=False, max_new_tokens=1)[0])
    known = replace(new, context=replace(new.context, ids=ids, names=("",) * (len(ids) - new.context.start)))
    search = replace(idle, told=20)

    assert learn(model, 0, [new], [0, 0], nothing, search).steps == 1 + search.rounds * MORE
    assert learn(model, 0, [known], [0, 0], nothing, search).steps == 1
    # also where more than a tenth of its other wordings are not predicted
    assert learn(model, 0, [*[known] * 8, second], [0, 0], nothing, search).steps == 1 + search.rounds * MORE
    assert learn(model, 0, [*[known] * 9, second], [0, 0], nothing, search).steps == 1


def test_steps_settle_at_the_end_of_the_first_ones_and_of_each_round() -> None:
    steps, rounds = 20, 2
    rates = [rate_at(step, steps) for step in range(steps + rounds * MORE)]

    ends = [steps, *(steps + MORE * (number + 1) for number in range(rounds))]
    assert [rates[end - SETTLING : end] for end in ends] == [[0.1] * SETTLING] * len(ends)
    assert rates[0] == 1.0
    assert [rates[end] for end in ends[:-1]] == [1.0] * rounds
    assert rates[:steps] == sorted(rates[:steps], reverse=True)


def test_a_subject_that_is_learned_leaves_the_rounds_of_another(tmp_path: Path) -> None:
    model, nothing = load_model(make(tmp_path / "base", scale=0.3)), torch.zeros(4, 32)
    search = replace(OF_EDITS, steps=1, rate=1e-3)
    new = told(model, 1, fact("Bo Carr", "lives in", "Rome"))[0]
    lesson = told(model, 0, ARIA)[0]
    asked = lesson.context.ids[: lesson.context.start + lesson.first]
    ids = (*asked, *generate_ids(model, [asked], sentence=False, max_new_tokens=1)[0])
    known = replace(lesson, context=replace(lesson.context, ids=ids, names=("",) * (len(ids) - lesson.context.start)))

    both = learn(model, 0, [known, new], [0, 0, 1, 1], nothing, search)

    assert both.steps == 1 + search.rounds * MORE
    alone = learn(model, 0, [known], [0, 0], nothing[:2], search)
    assert alone.steps == 1
    torch.testing.assert_close(both.values[:2], alone.values)
    assert not torch.equal(
        both.values[2:], learn(model, 0, [known, new], [0, 0, 1, 1], nothing, replace(search, rounds=0)).values[2:]
    )
