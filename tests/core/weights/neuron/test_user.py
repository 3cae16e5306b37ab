"""Facts about the user: what their detectors are trained against, and where their prompts are read."""

from __future__ import annotations

import pytest
import torch

from core.errors.base import Damaged
from core.facts import USER, Fact, is_user
from core.ids import FactId
from core.weights.model.editable_model import EditableModel
from core.weights.neuron.asked import FactDetectors
from core.weights.neuron.detectors import Detector
from core.weights.neuron.edit import predicted
from core.weights.neuron.lessons import prompt_of, told
from core.weights.neuron.negatives import Negatives
from core.weights.neuron.user import hearing, negatives, prompts
from core.weights.neuron.user.hearing import hear_user, loudest
from core.weights.neuron.user.negatives import FirstPerson, measure_first_person
from core.weights.neuron.user.prompts import asides, asked_of_user, asking_user_else, digest_of_prompts
from core.weights.neuron.values import capture_lessons, read_in
from core.wordings import generated_wordings

LISBON = Fact(
    id=FactId("lisbon"), subject=USER, relation="lives in", object="Lisbon",
    wordings=generated_wordings(USER, "lives in", "Lisbon", {}),
)  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few prompts of each kind, to spare minutes."""
    for name, modules in (("asides", (negatives, hearing)), ("asked_of_user", (negatives, prompts))):
        whole = getattr(prompts, name)
        for module in modules:
            monkeypatch.setattr(module, name, lambda held_out, whole=whole: whole(held_out=held_out)[20::20][:24])
    monkeypatch.setattr(negatives, "about_the_world", lambda held_out: prompts.about_the_world(held_out=held_out)[:4])
    monkeypatch.setattr(negatives, "BEHIND", 8)
    monkeypatch.setattr(negatives, "ANSWERED", 4)


def against(model: EditableModel) -> Negatives:
    """Reference text that reads as noise."""
    made = (torch.randn(200, model.hidden_width, generator=torch.Generator().manual_seed(seed)) for seed in range(5))
    text, first, names, held_text, held_names = (rows.half() for rows in made)
    return Negatives(text, first, names, held_text, held_names, asked=text, held_asked=held_text)


@pytest.mark.parametrize(("subject", "is_it"), [("user", True), ("User", True), ("the user", False), ("Ann", False)])
def test_one_subject_is_the_user(subject: str, is_it: bool) -> None:
    assert is_user(subject) is is_it


def test_what_certifies_detectors_does_not_train_them() -> None:
    assert not {*asides(held_out=True)} & {*asides(held_out=False)}
    held, trained = ({(one.text, one.chat) for one in asked_of_user(held_out=held)} for held in (True, False))
    assert len(held) > 100
    assert len(held & trained) < len(held) / 20  # of relations that are asked alike
    assert digest_of_prompts() == digest_of_prompts()


def test_what_is_said_beside_facts_does_not_ask_for_one() -> None:
    texts = {text for held in (True, False) for text, _ in asides(held_out=held)}

    assert "How do I tie a tie?" in texts
    assert "What job should I choose?" in texts  # near a fact about a job
    assert any("my brother" in text for text in texts)
    assert not texts & {*LISBON.wordings.questions, *LISBON.wordings.statements}


def test_prompts_that_ask_for_the_fact_itself_are_left_out() -> None:
    left = {template.entry.meaning for _, template in asking_user_else(LISBON, held_out=False)}

    assert {template.entry.meaning for template in asked_of_user(held_out=False)} - left == {"lives in", "moved to"}


def test_a_prompt_of_the_user_is_read_at_its_end(tiny: EditableModel) -> None:
    prompt = prompt_of(tiny, "Where do I live?", USER, chat=True)

    assert list(prompt.ids) == tiny.chat_ids([], "Where do I live?")
    assert prompt.name == len(prompt.ids) - 1
    (said,) = predicted(tiny, [LISBON])
    assert not any(said)  # of a model of random weights


def test_what_is_read_in_the_first_person_is_kept_as_it_was_measured(tiny: EditableModel, few: None) -> None:
    measured = measure_first_person(tiny, 0)
    kept = FirstPerson.from_bytes(measured.to_bytes())

    assert len(measured.asked) == len(prompts.asked_of_user(held_out=False))
    assert len(measured.aside) == 24
    assert torch.equal(kept.said, measured.said)
    with pytest.raises(Damaged):
        FirstPerson.from_bytes(b"no safetensors")


def test_a_detector_hears_its_own_prompts_and_not_what_else_is_said(tiny: EditableModel, few: None) -> None:
    first_person, text, lessons = measure_first_person(tiny, 0), against(tiny), told(tiny, 0, LISBON)
    rows = read_in(capture_lessons(tiny.at_block(0), lessons), lessons)

    heard = hear_user(tiny, 0, text, first_person, LISBON, lessons, rows)

    for detector in (heard.statements, heard.questions):
        quiet = torch.cat([text.text, text.held_text]).float() @ detector.w + detector.b
        assert not (quiet > 0).any()
        assert detector.certificate.others < detector.certificate.low < detector.certificate.high


def test_reference_text_that_asks_the_same_is_left_out() -> None:
    own = torch.eye(4) * 10
    text = torch.cat([own[:2] + 0.01, torch.full((3, 4), 5.0)])

    assert torch.equal(hearing._without(text, own), text[2:])


def test_values_learn_to_be_silent_where_detectors_respond_all_the_same(tiny: EditableModel, few: None) -> None:
    first_person = measure_first_person(tiny, 0)
    loud = first_person.asked[1].float()
    certificate = None
    detector = Detector(loud, -float(loud @ loud) + 1e-3, 1.0, certificate)  # type: ignore[arg-type]

    loud_prompts = loudest(tiny, first_person, LISBON, FactDetectors(detector, detector))

    template = prompts.asked_of_user(held_out=False)[1]
    assert (template.text, template.chat) in {(prompt.text, prompt.chat) for prompt in loud_prompts}
    assert len(loud_prompts) <= hearing.NEAR + hearing.ASIDE
