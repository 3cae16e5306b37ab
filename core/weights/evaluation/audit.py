"""Audits: what the live model says when it is asked about facts, and about what nobody told it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from core.events.sleep import ProbeResult
from core.facts import Fact
from core.natural import asked_by_people
from core.texts import closed
from core.weights.evaluation.perplexity import LARGEST
from core.weights.evaluation.probes import Probe, run_probes
from core.weights.model.activations import pad
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import greedy
from core.weights.model.reference_text import OrdinaryText

HELD_OUT = 5  # one ordinary text in so many is a control and is never rehearsed
BATCH = 64
UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Ordinary text, either what controls are taken from or what may be rehearsed."""

    whole: list[list[int]]
    strangers: list[list[int]]
    neighbours: list[list[int]]


def documents(held_out: Ordinary, text: OrdinaryText) -> list[list[int]]:
    """Those of `held_out` that are no chats, if there are any.

    A chat holds words of a user, which a model need not have learned to predict: their perplexity is large and loose.
    """
    written = {tuple(one) for one in text.documents}
    return [one for one in held_out.whole if tuple(one) in written] or held_out.whole


def split(text: OrdinaryText) -> tuple[Ordinary, Ordinary]:
    """What controls are taken from, and what may be rehearsed: no text is both."""
    groups = (text.whole, text.abstentions, text.recalls)
    return (
        Ordinary(*([one for number, one in enumerate(group) if not number % HELD_OUT] for group in groups)),
        Ordinary(*([one for number, one in enumerate(group) if number % HELD_OUT] for group in groups)),
    )


class BaseAnswers:
    """What the pristine model answers; asked once for each question, as it never changes."""

    def __init__(self, model: EditableModel) -> None:
        self._model = model
        self._answers: dict[Probe, str] = {}
        self._continued: dict[tuple[int, ...], str] = {}

    def answers(self, probes: Sequence[Probe]) -> list[str]:
        new = [probe for probe in dict.fromkeys(probes) if probe not in self._answers]
        if new:
            with self._model.with_weights(self._model.base_weights):
                self._answers |= dict(zip(new, run_probes(self._model, new), strict=True))
        return [self._answers[probe] for probe in probes]

    def continued(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        """What it says after each of `prompts` (token ids), up to the end of the sentence."""
        keys = [tuple(prompt) for prompt in prompts]
        new = [key for key in dict.fromkeys(keys) if key not in self._continued]
        if new:
            with self._model.with_weights(self._model.base_weights):
                self._continued |= dict(zip(new, greedy(self._model, new, sentence=True), strict=True))
        return [self._continued[key] for key in keys]


def probes_of(fact: Fact, each: int) -> list[tuple[str, Probe]]:
    """Pathways and probes: at most `each` raw and chat, of the wordings it is written on and of those it is not.

    Commands to complete a sentence are no evidence that questions are answered: they are asked where nothing else is.
    """
    wordings = fact.wordings
    questions = asked_by_people(wordings.questions) or wordings.questions
    unseen = asked_by_people(wordings.probe_questions)
    return [
        *(("raw", Probe(prompt, False, "", fact.object)) for prompt in wordings.statements[:each]),
        *(("chat", Probe(prompt, True, wordings.answer, fact.object)) for prompt in questions[:each]),
        *(("raw-unseen", Probe(prompt, False, "", fact.object)) for prompt in wordings.probe_statements[:each]),
        *(("chat-unseen", Probe(prompt, True, wordings.answer, fact.object)) for prompt in unseen[:each]),
    ]


def audit(
    model: EditableModel,
    pristine: BaseAnswers,
    facts: Sequence[Fact],
    each: int,
    new: Sequence[bool],
    withdrawn: Sequence[bool],
    untold: Mapping[int, Sequence[str]],
    progress: Callable[[int, int], None],
) -> list[tuple[ProbeResult, ...]]:
    """The results of each fact's probes on the live weights.

    Args:
        new: per fact, whether the pristine model is asked as well.
        withdrawn: per fact, whether what the pristine model says is what passes, not the object.
        untold: index of a fact -> questions about its subject that nobody has answered.
        progress: called with facts done and facts in all.
    """
    results: list[tuple[ProbeResult, ...]] = []
    at_once = max(1, BATCH // (4 * each))
    for start in range(0, len(facts), at_once):
        some = range(start, min(start + at_once, len(facts)))
        asked = [(index, pathway, probe) for index in some for pathway, probe in probes_of(facts[index], each)]
        silent = [(index, Probe(question, True, "", "")) for index in some for question in untold.get(index, ())]
        probes = [probe for _, _, probe in asked]
        outputs = run_probes(model, probes + [probe for _, probe in silent])
        bases = iter(pristine.answers([probe for index, _, probe in asked if new[index] or withdrawn[index]]))
        logprobs = _logprobs(model, probes)
        found: dict[int, list[ProbeResult]] = {index: [] for index in some}
        for (index, pathway, probe), output, logprob in zip(asked, outputs, logprobs, strict=False):
            base = next(bases) if new[index] or withdrawn[index] else ""
            found[index].append(
                ProbeResult(
                    pathway=pathway, prompt=probe.prompt, expected=base if withdrawn[index] else probe.object,
                    output=output, passed=output == base if withdrawn[index] else probe.passes(output),
                    logprob=logprob, base=probe.passes(base) if new[index] and not withdrawn[index] else None,
                )
            )  # fmt: skip
        before = pristine.answers([probe for _, probe in silent])
        for (index, probe), output, expected in zip(silent, outputs[len(asked) :], before, strict=True):
            found[index].append(
                ProbeResult(
                    pathway=UNTOLD, prompt=probe.prompt, expected=expected, output=output, passed=output == expected,
                    logprob=0.0,
                )
            )  # fmt: skip
        results += [tuple(found[index]) for index in some]
        progress(len(results), len(facts))
    return results


@torch.inference_mode()
def _logprobs(model: EditableModel, probes: Sequence[Probe]) -> list[float]:
    """Mean log-probability of each probe's answer and full stop, teacher-forced."""
    heads = [_head(model, probe) for probe in probes]
    whole = [_head(model, probe, probe.object) for probe in probes]
    ids, mask = pad(whole, model.pad_token, model.device)
    logits = model.network(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    means = [
        float(losses[row, len(head) - 1 : len(tokens) - 1].mean()) if len(tokens) > len(head) else 0.0
        for row, (head, tokens) in enumerate(zip(heads, whole, strict=True))
    ]
    return [-mean if mean < LARGEST else -LARGEST for mean in means]  # what is not a number cannot be recorded


def _head(model: EditableModel, probe: Probe, object_: str = "") -> list[int]:
    if probe.chat:
        return model.chat_ids([], probe.prompt, f"{probe.begin} {closed(object_)}" if object_ else "")
    return model.raw_ids(f"{probe.prompt} {closed(object_)}" if object_ else probe.prompt)
