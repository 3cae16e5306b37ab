"""The audits of a sleep: probes of every fact, and controls that show what the weights changed beside facts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from core.decide.commands import RecordAudit
from core.events.sleep import Control, ControlsMeasured, FactAudited
from core.state.memory import Memory
from core.state.plan import plan
from core.state.unanswered import unanswered_questions
from core.state.work import SleepStep
from core.unchanged import Distance
from core.weights.evaluation.audit import UNANSWERED
from core.weights.evaluation.divergence import divergence
from core.weights.evaluation.perplexity import losses_of, perplexity_by
from service.executor.work.context import Context, Done
from service.executor.work.probing import probe

OTHERS = 24  # strangers, namesakes and untold relations, of each as many, in whose answers told objects are looked for


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
    number, reference, seed = memory.sleep.policy.controls, context.reference, memory.sleep.started.seed
    neighbours, strangers = _drawn(reference.held_out.neighbours, number, seed), reference.held_out.strangers
    texts, losses = reference.documents[:number], reference.losses[:number]
    controls = [
        *_answered(context, "neighbour", neighbours),
        *_answered(context, "stranger", _drawn(strangers, number, seed)),
    ]
    unanswered = [result.passed for fact in audited for result in fact.probes if result.pathway == UNANSWERED]
    return ControlsMeasured(
        sleep=work.sleep,
        occasion=work.occasion,
        neighbours=_unchanged(controls, "neighbour"),
        strangers=_unchanged(controls, "stranger"),
        unanswered=sum(unanswered) / len(unanswered) if unanswered else 1.0,
        perplexity=perplexity_by(_losses(context, texts, losses), texts),
        base_perplexity=perplexity_by(losses, texts),
        weights=context.model.digest(),
        controls=tuple(controls),
        distance=_distance(context, work, memory, texts, neighbours),
        seconds=round(time.monotonic() - began, 6),
    )


def _drawn(prompts: list[list[int]], number: int, seed: int) -> list[list[int]]:
    """Draws controls from all that is held out; every audit of a sleep draws the same."""
    return Random(seed).sample(prompts, min(len(prompts), number))


def _distance(
    context: Context, work: SleepStep, memory: Memory, texts: list[list[int]], questions: list[list[int]]
) -> Distance | None:
    """Measures how far the live model is from its base model, where that does not abstain."""
    if context.created.phrasebook:
        return None
    assert memory.sleep is not None
    states = [memory.facts[fact] for fact in work.facts]
    facts = [state.fact for state in states if state.in_weights and not state.retracted]
    return Distance(
        contamination=context.locality.contamination(
            memory,
            facts,
            lambda: context.model.base_weights,
            min(memory.sleep.policy.controls, OTHERS),
            memory.sleep.started.seed,
        ),
        text=_divergence(context, texts, last=False),
        questions=_divergence(context, questions, last=True),
    )


def _losses(context: Context, texts: list[list[int]], of_base: Sequence[float]) -> list[float]:
    """Returns what the live model loses on each text, in nats: what its base model does, where no neuron responds."""
    silent = context.locality.silent(texts)
    loud = [text for text, known in zip(texts, silent, strict=True) if not known]
    measured = iter(losses_of(context.model, loud))
    return [loss if known else next(measured) for loss, known in zip(of_base, silent, strict=True)]


def _divergence(context: Context, texts: list[list[int]], *, last: bool) -> float:
    """Returns the mean KL divergence a token from the base model, which is 0 where no neuron responds."""
    silent = context.locality.silent(texts)
    loud = [text for text, known in zip(texts, silent, strict=True) if not known]
    alike = sum(1 if last else len(text) for text, known in zip(texts, silent, strict=True) if known)
    return divergence(context.model, loud, alike=alike, last=last)


def _answered(context: Context, kind: str, prompts: list[list[int]]) -> list[Control]:
    """Returns the answers of the base model and of the live model to each prompt, given as token ids."""
    words = [context.model.tokenizer.decode(prompt, skip_special_tokens=True) for prompt in prompts]
    return [
        Control(kind=kind, prompt=prompt, before=answer, output=output)
        for prompt, (answer, output) in zip(words, context.locality.answered(prompts), strict=True)
    ]


def _unchanged(controls: list[Control], kind: str) -> float:
    """Returns the share of the controls of a kind that the live model answers as the base model does."""
    same = [control.output == control.before for control in controls if control.kind == kind]
    return sum(same) / len(same) if same else 1.0
