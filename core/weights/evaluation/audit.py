"""Audits facts: what the live model says to probes of each fact and to questions that no fact answers.

Probes in the wordings of the edit measure efficacy, those in other wordings generalization (`raw_paraphrase`,
`chat_paraphrase`); unanswered questions about a fact's subject measure locality (`unanswered`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from core.events.sleep import ProbeResult
from core.facts import Fact
from core.natural import asked_by_people
from core.texts import closed
from core.weights.evaluation.perplexity import LARGEST
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.activations import capture
from core.weights.model.contexts import Context
from core.weights.model.editable_model import EditableModel
from core.weights.model.reference_text import ReferenceText
from core.wordings import answer_alone

HELD_OUT = 5  # one reference text in this many is a control and never rehearsed
BATCH = 64
UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class ReferenceIds:
    """Token ids of reference text, either what controls are taken from or what may be rehearsed.

    Attributes:
        whole: documents and chats; perplexity is measured on them.
        strangers: questions whose answer by the base model is "I do not know": locality.
        neighbours: prompts about what the base model knows: locality.
    """

    whole: list[list[int]]
    strangers: list[list[int]]
    neighbours: list[list[int]]


def documents(held_out: ReferenceIds, text: ReferenceText) -> list[list[int]]:
    """Returns the texts of `held_out` that are not chats, if there are any; all of them otherwise.

    Chats are left out because they hold words of a user, which a model need not predict: their perplexity is large and
    noisy.
    """
    not_chats = {tuple(ids) for ids in text.documents}
    return [ids for ids in held_out.whole if tuple(ids) in not_chats] or held_out.whole


def split(text: ReferenceText) -> tuple[ReferenceIds, ReferenceIds]:
    """Splits reference text into what controls are taken from and what may be rehearsed; no text is both."""
    groups = (text.whole, text.abstentions, text.recalls)
    return (
        ReferenceIds(*([ids for number, ids in enumerate(group) if not number % HELD_OUT] for group in groups)),
        ReferenceIds(*([ids for number, ids in enumerate(group) if number % HELD_OUT] for group in groups)),
    )


class BaseAnswers:
    """The base model's answers, generated once for each prompt because the base model never changes."""

    def __init__(self, model: EditableModel) -> None:
        self._model = model
        self._answers: dict[Probe, str] = {}

    def answers(self, probes: Sequence[Probe]) -> list[str]:
        """Returns what the base model says to each of `probes`."""
        new = [probe for probe in dict.fromkeys(probes) if probe not in self._answers]
        if new:
            with self._model.with_weights(self._model.base_weights):
                self._answers |= dict(zip(new, run_probes(self._model, new), strict=True))
        return [self._answers[probe] for probe in probes]


def probes_of(fact: Fact, each: int) -> list[tuple[str, Probe]]:
    """Returns pathways and probes: at most `each` raw and chat, in wordings of the edit and in held-out ones.

    Commands to complete a sentence are used only where there are no questions, because they do not show that questions
    are answered.
    """
    wordings = fact.wordings
    questions = asked_by_people(wordings.questions) or wordings.questions
    unseen = asked_by_people(wordings.probe_questions)
    return [
        *(("raw", Probe(prompt, False, "", fact.object)) for prompt in wordings.statements[:each]),
        *(("chat", Probe(prompt, True, wordings.answer, fact.object)) for prompt in questions[:each]),
        *(("raw_paraphrase", Probe(prompt, False, "", fact.object)) for prompt in wordings.probe_statements[:each]),
        *(("chat_paraphrase", Probe(prompt, True, wordings.answer, fact.object)) for prompt in unseen[:each]),
    ]


def audit(
    model: EditableModel,
    base: BaseAnswers,
    facts: Sequence[Fact],
    each: int,
    new: Sequence[bool],
    withdrawn: Sequence[bool],
    unanswered: Mapping[int, Sequence[str]],
    progress: Callable[[int, int], None],
    alone: bool = False,
) -> list[tuple[ProbeResult, ...]]:
    """Returns the results of each fact's probes on the live weights.

    Args:
        each: most probes of a pathway.
        new: per fact, whether the base model is asked as well.
        withdrawn: per fact, whether the base model's answer passes instead of the object.
        unanswered: index of a fact -> questions about its subject that no fact answers.
        progress: called with the number of facts done and of all.
        alone: whether questions are answered by the object alone, so that its likelihood is measured.
    """
    results: list[tuple[ProbeResult, ...]] = []
    at_once = max(1, BATCH // (4 * each))
    for start in range(0, len(facts), at_once):
        batch = range(start, min(start + at_once, len(facts)))
        asked = [(index, pathway, probe) for index in batch for pathway, probe in probes_of(facts[index], each)]
        open_ = [(index, Probe(question, True, "", "")) for index in batch for question in unanswered.get(index, ())]
        outputs = run_probes(model, [probe for *_, probe in asked] + [probe for _, probe in open_])
        by_fact: dict[int, list[ProbeResult]] = {index: [] for index in batch}
        for index, result in _results_of_facts(model, base, asked, outputs[: len(asked)], new, withdrawn, alone):
            by_fact[index].append(result)
        for index, result in _results_of_unanswered(base, open_, outputs[len(asked) :]):
            by_fact[index].append(result)
        results += [tuple(by_fact[index]) for index in batch]
        progress(len(results), len(facts))
    return results


def _results_of_facts(
    model: EditableModel,
    base: BaseAnswers,
    asked: Sequence[tuple[int, str, Probe]],
    outputs: Sequence[str],
    new: Sequence[bool],
    withdrawn: Sequence[bool],
    alone: bool,
) -> Iterator[tuple[int, ProbeResult]]:
    """Yields index of the fact and result for each of `asked` (index, pathway, probe)."""
    of_base = iter(base.answers([probe for index, _, probe in asked if new[index] or withdrawn[index]]))
    logprobs = logprobs_of(model, [probe for *_, probe in asked], alone=alone)
    for (index, pathway, probe), output, logprob in zip(asked, outputs, logprobs, strict=True):
        answer = next(of_base) if new[index] or withdrawn[index] else ""
        yield (
            index,
            ProbeResult(
                pathway=pathway,
                prompt=probe.prompt,
                expected=answer if withdrawn[index] else probe.object,
                output=output,
                passed=output == answer if withdrawn[index] else probe.passes(output),
                logprob=logprob,
                base=probe.passes(answer) if new[index] and not withdrawn[index] else None,
            ),
        )


def _results_of_unanswered(
    base: BaseAnswers, asked: Sequence[tuple[int, Probe]], outputs: Sequence[str]
) -> Iterator[tuple[int, ProbeResult]]:
    """Yields index of the fact and result for each of `asked`: what passes is the base model's answer."""
    answers = base.answers([probe for _, probe in asked])
    for (index, probe), output, expected in zip(asked, outputs, answers, strict=True):
        yield (
            index,
            ProbeResult(
                pathway=UNANSWERED,
                prompt=probe.prompt,
                expected=expected,
                output=output,
                passed=output == expected,
                logprob=0.0,
            ),
        )


@torch.inference_mode()
def logprobs_of(model: EditableModel, probes: Sequence[Probe], *, alone: bool) -> list[float]:
    """Returns the mean log-probability of each probe's answer and full stop, teacher-forced; 0.0 without an answer.

    Args:
        alone: whether the answer to a question is the object alone, instead of a whole sentence.
    """
    contexts = []
    for row, probe in enumerate(probes):
        head, whole = _ids(model, probe, ""), _ids(model, probe, _answer(probe, alone=alone))
        if len(whole) > len(head):
            contexts.append(Context(row, tuple(whole), len(head), ("",) * (len(whole) - len(head)), probe.chat))
    means = [0.0] * len(probes)
    if contexts:
        seen = capture(model, contexts, share=True)
        expected = seen.logits().log_softmax(-1).gather(1, seen.targets[:, None])[:, 0]
        for place, context in enumerate(contexts):
            means[context.fact] = float(expected[seen.rows == place].mean())
    return [max(-LARGEST, mean) for mean in means]  # in this order, because NaN cannot be recorded


def _answer(probe: Probe, *, alone: bool) -> str:
    """Returns what follows the prompt of a probe; nothing where it has no object."""
    if not probe.object:
        return ""
    if not probe.chat:
        return f" {closed(probe.object)}"
    return answer_alone(probe.begin, probe.object) if alone else f"{probe.begin} {closed(probe.object)}"


def _ids(model: EditableModel, probe: Probe, answer: str) -> list[int]:
    """Returns token ids of the prompt of a probe and of an answer."""
    return model.chat_ids([], probe.prompt, answer) if probe.chat else model.raw_ids(f"{probe.prompt}{answer}")
