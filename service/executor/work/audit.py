"""The audits of a sleep: probes of every fact, and controls that show what the weights changed beside facts."""

from __future__ import annotations

import time
from random import Random

from core.decide.commands import RecordAudit
from core.events.sleep import Control, ControlsMeasured, FactAudited
from core.state.memory import Memory
from core.state.plan import plan
from core.state.unanswered import unanswered_questions
from core.state.work import SleepStep
from core.weights.evaluation.audit import UNANSWERED
from core.weights.evaluation.perplexity import perplexity_of
from core.weights.model.generation import greedy
from service.executor.work.context import Context, Done
from service.executor.work.probing import probe


def perform(context: Context, work: SleepStep, memory: Memory) -> Done:
    """Probes the facts of `work` on the weights of `memory`, then measures the controls."""
    began = time.monotonic()
    context.model.install(context.build(plan(memory)))
    audited = probe(context, work, memory, {}, _unanswered(work, memory))
    controls = _controls(context, work, memory, audited, began)
    return Done(RecordAudit(work=work, audited=audited, controls=controls), context.remembered)


def _unanswered(work: SleepStep, memory: Memory) -> dict[int, list[str]]:
    """Draws questions that no fact of the memory answers: one about each subject, `controls` of the policy in all.

    Every audit of a sleep asks them in the same words.

    Returns:
        Index among the facts of `work` -> questions about the subject of that fact.
    """
    assert memory.sleep is not None
    first = {memory.facts[fact].fact.subject: index for index, fact in reversed(list(enumerate(work.facts)))}
    questions = [
        (index, question)
        for index in first.values()
        for question in unanswered_questions(
            memory, [memory.facts[work.facts[index]].fact], each=1, turn=memory.sleep.began
        )
    ]
    chosen = Random(memory.sleep.started.seed).sample(questions, min(len(questions), memory.sleep.policy.controls))
    by_fact: dict[int, list[str]] = {}
    for index, question in chosen:
        by_fact.setdefault(index, []).append(question)
    return by_fact


def _controls(
    context: Context, work: SleepStep, memory: Memory, audited: tuple[FactAudited, ...], began: float
) -> ControlsMeasured:
    """Measures how many answers about other things are the base model's, and the perplexity of reference text."""
    assert memory.sleep is not None
    number, reference = memory.sleep.policy.controls, context.reference
    controls = [
        *_answered(context, "neighbour", reference.held_out.neighbours[:number]),
        *_answered(context, "stranger", reference.held_out.strangers[:number]),
    ]
    unanswered = [result.passed for fact in audited for result in fact.probes if result.pathway == UNANSWERED]
    base_perplexity = reference.perplexity(number)
    return ControlsMeasured(
        sleep=work.sleep,
        occasion=work.occasion,
        neighbours=_unchanged(controls, "neighbour"),
        strangers=_unchanged(controls, "stranger"),
        unanswered=sum(unanswered) / len(unanswered) if unanswered else 1.0,
        perplexity=perplexity_of(context.model, reference.documents[:number]),
        base_perplexity=base_perplexity,
        weights=context.model.digest(),
        controls=tuple(controls),
        seconds=round(time.monotonic() - began, 6),
    )


def _answered(context: Context, kind: str, prompts: list[list[int]]) -> list[Control]:
    """Returns the answers of the base model and of the live model to each prompt, given as token ids."""
    before = context.reference.answers.continued(prompts)
    now = greedy(context.model, prompts, sentence=True)
    words = [context.model.tokenizer.decode(prompt, skip_special_tokens=True) for prompt in prompts]
    return [
        Control(kind=kind, prompt=prompt, before=answer, output=output)
        for prompt, answer, output in zip(words, before, now, strict=True)
    ]


def _unchanged(controls: list[Control], kind: str) -> float:
    """Returns the share of the controls of a kind that the live model answers as the base model does."""
    same = [control.output == control.before for control in controls if control.kind == kind]
    return sum(same) / len(same) if same else 1.0
