"""Detectors of facts: what they are trained against, and where their thresholds lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.weights.model.editable_model import EditableModel
from core.weights.neuron import asked
from core.weights.neuron.asked import WIDTH, classify, hear, inputs_of, relations_of
from core.weights.neuron.lessons import told
from core.weights.neuron.negatives import Negatives
from tests.core.weights.conftest import fact

DIM, MANY = 24, 4000
ARIA = fact("Aria Moss", "lives in", "Rome")


def rows(count: int, seed: int, toward: tuple[int, float] = (0, 0.0)) -> Tensor:
    made = torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))
    made[:, toward[0]] += toward[1]
    return made


def test_a_classifier_tells_own_rows_from_each_kind_of_others() -> None:
    # given own rows that are far out in two directions, and others that are in one of them each
    own = rows(40, 0, (0, 6.0))
    own[:, 1] += 6.0
    kinds = [rows(MANY, 1, (0, 6.0)), rows(MANY, 2, (1, 6.0)), rows(MANY, 3)]

    a, b = classify(own, kinds)

    assert float((own @ a + b).quantile(0.1)) > max(float((kind @ a + b).quantile(0.999)) for kind in kinds)


def test_thresholds_lie_above_all_that_must_stay_quiet_and_above_most_other_relations() -> None:
    a, mean = torch.eye(DIM)[0], torch.zeros(DIM)
    own, near, text = rows(50, 0, (0, 5.0)), rows(MANY, 1), rows(MANY, 2)
    for quiet in (rows(MANY, 3), rows(MANY, 3, (0, 3.0))):
        detector = asked._certified(a, 0.0, mean, own, quiet, text, near)

        certificate = detector.certificate
        assert certificate.others == pytest.approx(float(quiet[:, 0].max()))
        assert certificate.others < certificate.low
        assert certificate.high == pytest.approx(certificate.low + WIDTH)
        responses = (near @ detector.w + detector.b).clamp(0, 1)
        assert float((responses > 0).float().mean()) <= asked.LEAKING + 1e-3
        assert not (quiet @ detector.w + detector.b > 0).any()
        assert float(own[own[:, 0] > certificate.high].mm(detector.w[:, None]).min()) + detector.b >= 1 - 1e-5


def test_other_relations_are_all_of_the_library_but_those_that_ask_for_the_fact(tiny: EditableModel) -> None:
    everything = relations_of(tiny, 0, torch.zeros(tiny.hidden_width), ARIA.subject)

    left = everything.but(ARIA)

    for old, new in ((everything.trained, left.trained), (everything.held_out, left.held_out)):
        assert len(new.last) == len(new.prompts) < len(old.prompts)
        assert {entry.meaning for entry, _ in old.prompts} - {entry.meaning for entry, _ in new.prompts} == {
            "lives in",
            "moved to",  # which is asked where one lives now
        }
        for number in (7, 8):
            _, prompt = new.prompts[number]
            (inputs,) = inputs_of(tiny, 0, [prompt.ids], [prompt.chat])
            assert torch.equal(new.last[number], old.last[old.prompts.index(new.prompts[number])])
            torch.testing.assert_close(new.last[number], inputs[-1], rtol=1e-3, atol=1e-4)


def test_a_fact_has_a_detector_for_statements_and_one_for_questions(tiny: EditableModel) -> None:
    # given reference text that reads as noise
    noise = [rows(200, seed)[:, :1].expand(200, tiny.hidden_width).half() for seed in range(5)]
    negatives = Negatives(*noise)
    relations = relations_of(tiny, 0, negatives.mean, ARIA.subject).but(ARIA)

    heard = hear(tiny, 0, negatives, relations, ARIA, told(tiny, 0, ARIA))

    for detector in (heard.statements, heard.questions):
        assert detector.w.shape == (tiny.hidden_width,)
        assert detector.certificate.others < detector.certificate.low < detector.certificate.high
