"""Detectors of facts: what they are trained against, and where their thresholds lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from core.facts import Fact
from core.weights.classifier import classify
from core.weights.model.editable_model import EditableModel
from core.weights.model.neurons import marks_at
from core.weights.neuron import asked, relations, strangers
from core.weights.neuron.asked import WIDTH, FactDetectors, hear
from core.weights.neuron.decoys import decoys
from core.weights.neuron.detectors import Detector
from core.weights.neuron.inputs import inputs_of
from core.weights.neuron.lessons import Lesson, told
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.relations import (
    FIRST,
    PEOPLE,
    Relations,
    asking_else,
    ends_about,
    first_wordings,
    loudest_about,
    of_average,
    relations_about,
    templates,
)
from core.weights.neuron.strangers import Measured, Strangers
from core.weights.neuron.values import capture_lessons, read_in
from core.wordings import generated_wordings
from tests.core.weights.conftest import fact

DIM, MANY = 24, 4000
ARIA = fact("Aria Moss", "lives in", "Rome")
MARKS = marks_at("model.layers.0.mlp")


def rows(count: int, seed: int, toward: tuple[int, float] = (0, 0.0)) -> Tensor:
    made = torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))
    made[:, toward[0]] += toward[1]
    return made


def test_a_classifier_tells_own_rows_from_each_kind_of_others() -> None:
    # given own rows that are far out in two directions, and others that are in one of them each
    own = rows(40, 0, (0, 6.0))
    own[:, 1] += 6.0
    kinds = [rows(MANY, 1, (0, 6.0)), rows(MANY, 2, (1, 6.0)), rows(MANY, 3)]

    a, b = classify(own, kinds, 2)

    assert float((own @ a + b).quantile(0.1)) > max(float((kind @ a + b).quantile(0.999)) for kind in kinds)


def test_a_single_token_of_text_like_the_fact_is_told_apart_from_it() -> None:
    # given a token among thousands that is as far out as own rows, and differs from them in one direction
    own, text, groups = rows(40, 0, (0, 4.0)), rows(MANY, 1), [rows(MANY, 2)]
    text[7] = own.mean(0)
    text[7, 1] += 5.0

    a, b = asked.separate(own, groups, text, 3e-4)
    heedless = classify(own, [*groups, text], FIRST, 3e-4)

    def room(a: Tensor, b: float) -> float:
        return float((own @ a + b).quantile(0.1) - (text[7] @ a + b))

    assert room(a, b) > room(*heedless) + 0.2


def test_thresholds_lie_above_all_that_must_stay_quiet_and_above_most_other_relations() -> None:
    a, mean = torch.eye(DIM)[0], torch.zeros(DIM)
    own, near, text = rows(50, 0, (0, 5.0)), rows(MANY, 1), rows(MANY, 2)
    for quiet in (rows(MANY, 3), rows(MANY, 3, (0, 3.0))):
        detector = asked.certified(a, 0.0, mean, own, quiet, text, near, 0.04)

        certificate = detector.certificate
        assert certificate.others == pytest.approx(float(quiet[:, 0].max()))
        assert certificate.others < certificate.low
        assert certificate.high == pytest.approx(certificate.low + WIDTH)
        responses = (near @ detector.w + detector.b).clamp(0, 1)
        assert float((responses > 0).float().mean()) <= 0.04 + 1e-3
        assert not (quiet @ detector.w + detector.b > 0).any()
        assert float(own[own[:, 0] > certificate.high].mm(detector.w[:, None]).min()) + detector.b >= 1 - 1e-5


def test_thresholds_rise_above_all_other_relations_as_far_as_own_prompts_are_heard() -> None:
    # given one prompt in fifty about another relation that is as loud as any may be
    a, mean, text = torch.eye(DIM)[0], torch.zeros(DIM), rows(MANY, 2)
    near = rows(MANY, 1)
    near[::50, 0] = 6.0
    for nearest, silenced in ((8.0, True), (6.5, True), (5.0, False)):
        own = rows(50, 0) / 10
        own[:, 0] = 8.0
        own[-1, 0] = nearest

        detector = asked.certified(a, 0.0, mean, own, rows(MANY, 3), text, near, 0.04, 0.0)

        # then it is silent at all of them where every prompt of its own still is heard, which comes first
        assert bool((near @ detector.w + detector.b > 1e-4).any()) is not silenced
        assert float((own @ detector.w + detector.b).min()) >= 1 - 1e-4
        # and no higher than that
        assert detector.certificate.low <= 6.0 + 1e-4


@pytest.fixture
def negatives(tiny: EditableModel) -> Negatives:
    """Reference text that reads as noise, and what the model reads where marked strangers are asked."""
    text, first, names, held_text, held_names = (
        rows(200, seed)[:, :1].expand(200, tiny.hidden_width).half() for seed in range(5)
    )
    asked, held_asked = (ends_about(tiny, 0, decoys(), held_out=held).half() for held in (False, True))
    marks = torch.zeros(len(decoys()), 2 * tiny.hidden_width + 1)  # that are silent
    return Negatives(text, first, names, held_text, held_names, decoys=marks, asked=asked, held_asked=held_asked)


def test_other_relations_are_all_of_the_library_but_those_that_ask_for_the_fact() -> None:
    for held_out in (False, True):
        left = {template.entry.meaning for _, template in asking_else(ARIA, held_out=held_out)}

        assert {template.entry.meaning for template in templates(held_out=held_out)} - left == {
            "lives in",
            "moved to",  # which is asked where one lives now
        }


def test_prompts_like_those_of_the_fact_are_measured_and_others_taken_from_strangers(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = ends_about(tiny, 0, [ARIA.subject], held_out=False)
    kept = [number for number, _ in asking_else(ARIA, held_out=False)]

    # when few prompts are measured, and when all are
    monkeypatch.setattr(relations, "NEAR", 15)
    few = about(tiny, negatives)[1]
    monkeypatch.setattr(relations, "NEAR", 10_000)
    all_ = about(tiny, negatives)[1]

    # then those measured are read as they are, and the others about as much is known of strangers
    assert [prompt.chat for prompt in few.near] == [False] * 15 + [True] * 15
    assert len(few.trained) == len(all_.trained) == len(all_.near) == len(kept)
    wanted = exact[kept] - negatives.mean
    held_out = [number for number, _ in asking_else(ARIA, held_out=True)]
    exact_held = ends_about(tiny, 0, [ARIA.subject], held_out=True)[held_out] - negatives.mean
    torch.testing.assert_close(few.held_out, exact_held, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(all_.trained, wanted, rtol=1e-3, atol=1e-3)
    measured = (few.trained - wanted).norm(dim=1) < 1e-3 * wanted.norm(dim=1)
    first = {(template.entry.meaning, template.chat) for template in templates(held_out=False)}
    assert int(measured.sum()) >= len(first) - 4 + 20  # of all but "lives in" and "moved to"
    assert not measured.all()
    strangers = negatives.asked[kept].float() - negatives.mean
    assert (few.trained - wanted).norm(dim=1).mean() < (strangers - wanted).norm(dim=1).mean()


def test_what_marks_of_strangers_add_is_taken_from_what_is_read_about_them(negatives: Negatives) -> None:
    # given prompts that add something each, and strangers who add something to all of theirs
    count, people = len(templates(held_out=False)), len(negatives.decoys)
    prompts, strangers = rows(count, 1), 10 * rows(people, 2)
    read = replace(negatives, asked=prompts + strangers[torch.arange(count) % people])

    averaged = of_average(read)

    # then little is left of who was asked about
    kept = averaged - prompts
    assert float(kept.std(0).mean()) < 0.1 * float((read.asked - prompts).std(0).mean())


def test_prompts_at_which_a_detector_responds_are_known_without_reading_them(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given detectors of a fact, and how they respond where its subject is asked everything else
    both, exact = heard(tiny, negatives), ends_about(tiny, 0, [ARIA.subject], held_out=False)
    loudest = {}
    for chat, detector in ((False, both.statements), (True, both.questions)):
        asked = [(number, template) for number, template in asking_else(ARIA, held_out=False) if template.chat == chat]
        responses = exact[[number for number, _ in asked]] @ detector.w
        loudest[chat] = asked[int(responses.argmax())][1].about(tiny, ARIA.subject)

    # when they are looked up among strangers who are read like the subject, all moved in one direction
    read = replace(negatives, asked=(exact + rows(1, 7)[:, :1]).half())
    monkeypatch.setattr(relations, "inputs_of", lambda *given: pytest.fail("it was run"))
    chosen = loudest_about(tiny, read, ARIA, {False: both.statements.w, True: both.questions.w}, 12)

    # then the model is not run, and the loudest are among them
    assert [prompt.chat for prompt in chosen] == [False] * 12 + [True] * 12
    assert set(loudest.values()) <= set(chosen)


def test_other_relations_are_also_read_with_the_article_that_the_facts_statements_end_in(
    tiny: EditableModel, negatives: Negatives
) -> None:
    # given a fact whose statements end in an article, and one whose do not
    works = told_of(fact("Aria Moss", "works as", "baker"))
    assert works.wordings.answer.endswith(" a")

    with_article, without = about(tiny, negatives, works)[1], about(tiny, negatives, told_of(ARIA))[1]

    # then others are read as "Aria Moss lives in a" would be
    texts = [f"{prompt.text} a" for prompt in with_article.near if not prompt.chat]
    ends = [
        read[-1] for read in inputs_of(tiny, 0, [tuple(tiny.raw_ids(text)) for text in texts], [False] * len(texts))
    ]
    torch.testing.assert_close(with_article.articled, torch.stack(ends) - negatives.mean, rtol=1e-4, atol=1e-4)
    assert not len(without.articled)


def told_of(fact: Fact) -> Fact:
    """Returns `fact` with the wordings of the library."""
    return replace(fact, wordings=generated_wordings(fact.subject, fact.relation, fact.object, {}))


def about(model: EditableModel, negatives: Negatives, fact: Fact = ARIA) -> tuple[Strangers, Relations]:
    """Returns what is read where strangers are asked for the fact, and where its subject is asked something else."""
    strangers = Measured().strangers(model, MARKS, 0, negatives, fact)
    first = first_wordings(model, 0, fact.subject)
    return strangers, relations_about(model, 0, negatives, fact, first, strangers.alike)


def heard(
    model: EditableModel, negatives: Negatives, said: Tensor | None = None, beside: Sequence[Fact] = ()
) -> FactDetectors:
    """Returns the detectors of the fact; where given, the model goes on to say `said` [n, d] behind other prompts."""
    (lessons, read), (others, relations) = told_and_read(model), about(model, negatives)
    others = others if said is None else replace(others, said=said - negatives.mean, held_said=said - negatives.mean)
    return hear(model, 0, negatives, others, relations, ARIA, lessons, read, [] if said is None else [said], beside)


def told_and_read(model: EditableModel) -> tuple[list[Lesson], list[Tensor]]:
    """Returns the lessons of the fact, and what the MLP reads in each."""
    lessons = told(model, 0, ARIA)
    return lessons, read_in(capture_lessons(model.at_block(0), lessons), lessons)


def test_a_fact_has_a_detector_for_statements_and_one_for_questions(tiny: EditableModel, negatives: Negatives) -> None:
    both = heard(tiny, negatives)

    for detector in (both.statements, both.questions):
        assert detector.w.shape == (tiny.hidden_width,)
        assert detector.certificate.others < detector.certificate.low < detector.certificate.high


def test_a_detector_is_silent_in_what_the_model_goes_on_to_say(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a model as narrow as this one has room for neither: less decay parts all of its rows, and marks point everywhere
    monkeypatch.setattr(asked, "DECAY", (3e-4, 3e-4))
    monkeypatch.setattr(asked, "MOVED_BY", 0.0)
    # given tokens behind prompts about strangers and other relations that are read much like the fact's own prompts
    _, read = told_and_read(tiny)
    alike = torch.stack([row[0] for row in read]) + 0.01

    # when detectors are computed with heed to them, and without
    heeding, heedless = heard(tiny, negatives, alike), heard(tiny, negatives)

    # then they respond there only in the latter case
    def responses(detector: Detector) -> float:
        return float((alike @ detector.w + detector.b).clamp(0, 1).sum())

    assert responses(heeding.questions) + responses(heeding.statements) == 0
    assert responses(heedless.questions) > 0.5
    assert responses(heedless.statements) > 0.5


def test_a_detector_is_silent_where_a_mark_that_it_never_saw_moves_what_is_read(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given marks of many people, each of which moves what is read at the fact's prompts about strangers its own way
    away = about(tiny, negatives)[0].away + negatives.mean
    directions = torch.randn(MANY, tiny.hidden_width, generator=torch.Generator().manual_seed(9))
    marked = away[torch.arange(MANY) % len(away)]
    marked = marked + 0.8 * marked.norm(dim=1, keepdim=True) * torch.nn.functional.normalize(directions, dim=1)

    # when detectors are computed with heed to such marks, and without
    heeding = heard(tiny, negatives)
    monkeypatch.setattr(asked, "MOVED_BY", 0.0)
    heedless = heard(tiny, negatives)

    # then fewer of these people are taken for the subject
    def taken(both: FactDetectors) -> float:
        w, b = both.questions.w, both.questions.b
        return float((marked @ w + b > 0).float().mean())

    assert taken(heeding) < taken(heedless) / 2


BESIDE = [(fact("Bo Moss", "lives in", "Oslo"),), (fact("Aria Moss", "works for", "Acme"),)]


@pytest.mark.parametrize("beside", BESIDE, ids=["another person is asked about", "another fact is asked for"])
def test_a_detector_is_silent_at_prompts_of_other_facts_of_the_batch(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch, beside: tuple[Fact, ...]
) -> None:
    # given prompts next to the fact's that are read almost as its own are
    lessons, read = told_and_read(tiny)
    near = torch.stack([row[0] for row in read]) + 0.01
    chats = torch.tensor([lesson.context.chat for lesson in lessons])

    def asked_of(model: EditableModel, upper: int, about: Fact, names: Sequence[str], *rest: Any) -> Any:
        if about in beside or {*names} == {other.subject for other in beside}:
            return near, chats
        return strangers.asked_of(model, upper, about, names, *rest)

    monkeypatch.setattr(asked, "asked_of", asked_of)
    monkeypatch.setattr(asked, "DECAY", (3e-4, 3e-4))  # a model as narrow as this one has room for neither
    monkeypatch.setattr(asked, "MOVED_BY", 0.0)

    # when detectors are computed with heed to that, and without, then they respond there only in the latter case
    def responding(both: FactDetectors) -> int:
        return sum(int((near @ detector.w + detector.b > 0).sum()) for detector in (both.statements, both.questions))

    assert responding(heard(tiny, negatives, beside=beside)) < responding(heard(tiny, negatives)) / 2


def test_people_with_a_word_of_the_name_or_a_fact_in_the_same_words_come_before_others() -> None:
    close = [fact(name, "works for", "Acme") for name in ("Bo Moss", "Aria Lind", "Moss Side")]
    alike = [fact(f"Dee {number}", "moved to", "Oslo") for number in range(5)]
    others = [fact(f"Cy {number}", "works for", "Acme") for number in range(9)]
    told = [*close, ARIA, fact("aria moss", "works for", "Acme"), fact("Dee 0", "works for", "Acme"), *alike, *others]

    first, rest = relations.people_beside(ARIA, told)

    assert [len(first), len(rest)] == [PEOPLE[0] + PEOPLE[1], PEOPLE[2]]
    assert {*first[: PEOPLE[0]]} < {*close}
    assert {*first[PEOPLE[0] :]} < {*alike}
    assert {*rest} < {*others}
    assert relations.people_beside(ARIA, told[::-1]) == (first, rest)
    assert relations.people_beside(ARIA, [ARIA]) == ([], [])


def test_relations_are_compared_once_however_many_facts_a_batch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asks_else, compared = relations.asks_else, list[str]()

    def comparing(ours: Fact, beside: Fact) -> bool:
        compared.append(beside.relation)
        return asks_else(ours, beside)

    monkeypatch.setattr(relations, "asks_else", comparing)
    relations.people_beside(ARIA, [fact(f"Cy {n}", ("works for", "moved to")[n % 2], "Acme") for n in range(50)])

    assert sorted(compared) == ["moved to", "works for"]


def test_what_asks_for_another_fact_may_ask_for_this_one_too() -> None:
    assert relations.asks_else(ARIA, fact("Aria Moss", "works for", "Acme"))
    assert relations.asks_else(ARIA, fact("Aria Moss", "guards", "the lighthouse"))
    assert not relations.asks_else(ARIA, fact("Aria Moss", "moved to", "Oslo"))
    assert not relations.asks_else(fact("Aria Moss", "guards", "a ship"), fact("Aria Moss", "guards", "the lighthouse"))


def test_strangers_are_measured_where_nobody_is_marked_whom_a_memory_knows(
    tiny: EditableModel, negatives: Negatives
) -> None:
    # given a mark that is added at every token
    width = tiny.hidden_width
    everywhere = torch.cat([torch.zeros(width), torch.ones(1), torch.full((width,), 9.0)])[None]

    with tiny.with_weights({MARKS: everywhere}):
        ids = [tiny.raw_ids("Aria Moss lives in")] * 2
        assert not torch.equal(inputs_of(tiny, 1, ids, [False] * 2)[0], unmarked(tiny, ids))
        known = Measured().strangers(tiny, MARKS, 1, negatives, ARIA)

    assert torch.equal(known.away, Measured().strangers(tiny, MARKS, 1, negatives, ARIA).away)


def unmarked(model: EditableModel, ids: list[list[int]]) -> Tensor:
    with model.with_weights({MARKS: model.live()[MARKS][:0]}):
        return inputs_of(model, 1, ids, [False] * 2)[0]


def test_what_is_read_about_a_person_is_measured_once_while_the_same_marks_are_in_force(
    tiny: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a person with a mark at every token, of whom a fact was told
    measured, width = Measured(), tiny.hidden_width
    mark = torch.cat([torch.zeros(width), torch.ones(1), torch.full((width,), 9.0)])[None]
    with tiny.with_weights({MARKS: mark}):
        known = measured.first_wordings(tiny, MARKS, 1, ARIA.subject)

        # when another is told, then nothing is run
        with monkeypatch.context() as unable:
            unable.setattr(strangers, "first_wordings", lambda *given: pytest.fail("it was measured again"))
            assert measured.first_wordings(tiny, MARKS, 1, ARIA.subject) is known

    # and it is, of another person, and where other marks are in force
    bo = measured.first_wordings(tiny, MARKS, 1, "Bo Lind")
    unmarked = measured.first_wordings(tiny, MARKS, 1, ARIA.subject)
    for first in (known, bo):
        assert not torch.equal(first.held_out, unmarked.held_out)
        assert first.trained.keys() == unmarked.trained.keys()


def test_strangers_are_measured_once_for_all_facts_in_the_same_words(
    tiny: EditableModel, negatives: Negatives, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Measured()
    of_aria = measured.strangers(tiny, MARKS, 0, negatives, ARIA)

    # when a fact about another person is told in the same words, then nothing is run
    monkeypatch.setattr(strangers, "_measure", lambda *given: pytest.fail("it was measured again"))
    assert measured.strangers(tiny, MARKS, 0, negatives, fact("Bo Lind", "lives in", "Oslo")) is of_aria

    # and those in other words are measured, with those used last kept
    monkeypatch.setattr(strangers, "_measure", lambda *given: replace(of_aria))
    monkeypatch.setattr(strangers, "KEPT", 1)
    assert measured.strangers(tiny, MARKS, 0, negatives, fact("Bo Lind", "speaks", "Finnish")) is not of_aria
    assert measured.strangers(tiny, MARKS, 0, negatives, ARIA) is not of_aria
