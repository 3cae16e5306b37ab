"""Audits: what is asked, what counts, and that controls are never rehearsed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.facts import Wordings
from core.weights.evaluation.audit import UNANSWERED, BaseAnswers, audit, documents, logprobs_of, probes_of, split
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText
from models.dormouse.corpus import answer
from models.dormouse.phrasebook import BY_NAME
from models.dormouse.world import known_people
from tests.core.weights.conftest import fact

STRANGER = fact("Aria Vale", "lives in", "Lisbon")


def test_a_fact_is_probed_raw_and_in_chat_in_wordings_it_was_written_on_and_in_others() -> None:
    pathways = [pathway for pathway, _ in probes_of(STRANGER, 2)]

    assert pathways == ["raw", "raw", "chat", "chat", "raw_paraphrase", "chat_paraphrase"]


def test_what_the_model_knows_passes_and_what_it_does_not_fails(dormouse: EditableModel) -> None:
    person = known_people()[0]
    relation = next(iter(person.profile))
    words = BY_NAME[relation]
    wordings = replace(
        STRANGER.wordings,
        statements=(words.trained_statements[0].format(s=person.name),),
        questions=(words.trained_questions[0].format(s=person.name),),
        answer=words.answer.format(s=person.name),
        probe_statements=(),
        probe_questions=(),
    )
    known = replace(STRANGER, subject=person.name, object=person.profile[relation], wordings=wordings)

    (right, wrong) = audit(
        dormouse, BaseAnswers(dormouse), [known, STRANGER], 2, [True, False], [False] * 2, {}, lambda done, total: None
    )

    assert [(probe.passed, probe.base) for probe in right] == [(True, True)] * 2
    assert not any(probe.passed for probe in wrong)
    assert all(probe.base is None for probe in wrong)
    assert min(probe.logprob for probe in right) > max(probe.logprob for probe in wrong)
    assert right[1].output == f" {answer(words, person)}".strip()


def test_the_likelihood_of_a_chat_answer_is_that_of_the_sentence_or_of_the_object_alone(
    dormouse: EditableModel,
) -> None:
    person = known_people()[0]
    relation = next(iter(person.profile))
    words, object_ = BY_NAME[relation], person.profile[relation]
    question, begin = words.trained_questions[0].format(s=person.name), words.answer.format(s=person.name)
    probe = Probe(question, True, begin, object_)

    (sentence,), (alone,) = (logprobs_of(dormouse, [probe], alone=alone) for alone in (False, True))

    # dormouse answers in sentences, so that each token of one is expected, and the object alone is not
    assert sentence > -0.1
    assert alone == pytest.approx(_mean_logprob(dormouse, dormouse.chat_ids([], question), object_), abs=1e-4)
    assert alone < sentence


def _mean_logprob(model: EditableModel, prompt: list[int], object_: str) -> float:
    ids = [*prompt, *model.tokenizer(f"{object_}.", add_special_tokens=False).input_ids]
    with torch.inference_mode():
        expected = model.network(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    told = range(len(prompt), len(ids))
    return sum(float(expected[place - 1, ids[place]]) for place in told) / len(told)


def test_questions_on_what_was_not_told_pass_while_they_are_answered_as_the_pristine_model_does(
    dormouse: EditableModel,
) -> None:
    question = "Where does Aria Vale live?"
    pristine = BaseAnswers(dormouse)
    quiet = audit(dormouse, pristine, [STRANGER], 1, [False], [False], {0: [question]}, lambda done, total: None)
    dormouse.install({module: -weight for module, weight in dormouse.base_weights.items()})
    loud = audit(dormouse, pristine, [STRANGER], 1, [False], [False], {0: [question]}, lambda done, total: None)

    for probes, passed in ((quiet, True), (loud, False)):
        (unanswered,) = [probe for probe in probes[0] if probe.pathway == UNANSWERED]
        assert (unanswered.passed, unanswered.prompt) == (passed, question)
        assert unanswered.expected.startswith("I do not know")


def test_the_pristine_model_answers_the_same_whatever_is_live_and_leaves_it_live(tiny: EditableModel) -> None:
    probe = Probe("Every evening", False, "", "fox")
    expected = run_probes(tiny, [probe])
    changed = {module: weight + torch.randn_like(weight) for module, weight in tiny.base_weights.items()}
    tiny.install(changed)
    digest = tiny.digest()

    assert BaseAnswers(tiny).answers([probe, probe]) == expected * 2
    assert tiny.digest() == digest


def test_many_facts_are_audited_in_order_and_reported_as_they_go(tiny: EditableModel) -> None:
    facts = [fact(f"Person {number}", "lives in", "Rome") for number in range(40)]
    seen: list[tuple[int, int]] = []

    results = audit(
        tiny,
        BaseAnswers(tiny),
        facts,
        2,
        [False] * 40,
        [False] * 40,
        {},
        lambda done, total: seen.append((done, total)),
    )

    assert [probes[0].prompt.split(" lives")[0] for probes in results] == [asked.subject for asked in facts]
    assert seen[-1] == (40, 40)
    assert len(seen) > 1


def test_perplexity_is_watched_on_held_out_documents_and_on_chats_only_for_want_of_them() -> None:
    chats, written = [[1, n] for n in range(10)], [[2, n] for n in range(10)]
    both, spoken = ReferenceText(whole=chats + written, documents=written), ReferenceText(whole=chats)

    assert documents(split(both)[0], both) == [written[0], written[5]]
    assert documents(split(spoken)[0], spoken) == [chats[0], chats[5]]


@pytest.mark.parametrize("size", [0, 1, 5, 23])
def test_no_reference_text_is_both_a_control_and_rehearsed(size: int) -> None:
    text = ReferenceText([[1, n] for n in range(size)], [[2, n] for n in range(size)], [[3, n] for n in range(size)])

    controls, rehearsed = split(text)

    for held, kept, everything in (
        (controls.whole, rehearsed.whole, text.whole),
        (controls.strangers, rehearsed.strangers, text.abstentions),
        (controls.neighbours, rehearsed.neighbours, text.recalls),
    ):
        assert sorted(held + kept) == everything
        assert not [text for text in held if text in kept]


def test_an_audit_asks_what_people_ask_and_commands_only_where_nothing_else_is() -> None:
    def chats(*questions: str, unseen: str) -> list[str]:
        words = Wordings(statements=("Bo likes",), questions=questions, answer="Bo likes", probe_questions=(unseen,))
        probes = probes_of(replace(fact("Bo", "likes", "hiking"), wordings=words), 2)
        return [probe.prompt for pathway, probe in probes if pathway.startswith("chat")]

    command, unseen = "Complete the sentence: Bo likes", "Please finish: Bo likes"
    assert chats("Bo likes what?", command, unseen=unseen) == ["Bo likes what?"]
    assert chats(command, unseen=unseen) == [command]


@pytest.mark.parametrize("alone", [True, False])
def test_an_answer_is_as_likely_as_when_it_is_forced_token_by_token(tiny: EditableModel, *, alone: bool) -> None:
    probes = [probe for _, probe in probes_of(STRANGER, 2)]
    nothing = Probe("Where was Aria Vale?", True, "", "")

    measured = logprobs_of(tiny, [*probes, nothing], alone=alone)

    for probe, logprob in zip(probes, measured, strict=False):
        head = tiny.chat_ids([], probe.prompt) if probe.chat else tiny.raw_ids(probe.prompt)
        begin = f"{probe.begin} " if probe.chat and not alone else ("" if probe.chat else " ")
        whole = head + tiny.tokenizer(f"{begin}Lisbon.", add_special_tokens=False).input_ids
        with torch.no_grad():
            expected = tiny.network(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
        tokens = [float(expected[place - 1, whole[place]]) for place in range(len(head), len(whole))]
        assert logprob == pytest.approx(sum(tokens) / len(tokens), rel=1e-3), probe.prompt
    assert measured[-1] == 0.0
    assert logprobs_of(tiny, [nothing], alone=alone) == [0.0]
