"""The training of a sleep: an adapter that says what edits say now, so that their scales can fall."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from random import Random

from torch import Tensor

from core.decide.commands import RecordTraining
from core.decide.limits import MAX_PROMPTS
from core.decide.sleep import next_scales
from core.events.sleep import AdapterTrained
from core.facts import Fact
from core.ids import AdapterId, FactId
from core.method import Method
from core.state.memory import FactState, Memory, Status, Withdrawal, statement_key
from core.state.plan import plan, plan_at
from core.state.unanswered import unanswered_questions
from core.state.work import SleepStep
from core.weights.deltas.digest import weights_digest
from core.weights.lora.training import train_adapter
from core.weights.memit.counter_edit import answers
from core.weights.model.contexts import Context as Wording
from core.weights.model.contexts import written_contexts
from service.executor.work.context import Context, Done, Progress
from service.executor.work.neurons import train_neurons
from store.clock import next_uuid

CURVE = 20  # points of a loss curve that are recorded
LONGEST = 64  # tokens of a rehearsed text


def perform(context: Context, work: SleepStep, memory: Memory) -> Done:
    """Trains an adapter on the facts of `work`, which rehearses other facts and reference text.

    It is trained on two base variants in turn, because the facts must be said both without their edits and with these
    at the scales they would have next. A training that repairs keeps the scales there are.
    """
    began = time.monotonic()
    sleep = memory.sleep
    assert sleep is not None
    seed = seed_of(sleep.started.seed, sleep.trainings + sleep.repairs)
    policy, random = sleep.policy, Random(seed)
    taught, repeated = _facts(work, memory, policy.rehearsed, random)
    scales = {} if sleep.rescaled else next_scales(memory, work.facts)
    if context.created.method is Method.NEURON:
        return _by_neurons(context, work, memory, taught, scales, seed, began)
    base_variants = [_weights(context, memory, dict.fromkeys(work.facts, 0.0)), _weights(context, memory, scales)]
    texts = _rehearsal(context, memory, policy.texts, random)
    curve: list[float] = []
    adapter = train_adapter(
        context.model,
        _wordings(context, [memory.facts[fact].fact for fact in taught]),
        _wordings(context, [memory.facts[fact].fact for fact in repeated]),
        texts,
        base_variants,
        context.covariance(memory).moments,
        policy.training,
        seed,
        unlearned=_unlearned(context, memory, policy.rehearsed, random),
        progress=_recorded(curve, context.progress),
    )
    trained = AdapterTrained(
        adapter=AdapterId(next_uuid()),
        sleep=work.sleep,
        delta=context.deltas.put(adapter.delta),
        modules=context.model.modules,
        rank=policy.training.rank,
        facts=taught,
        rehearsed=repeated,
        texts=len(texts),
        steps=adapter.steps,
        first_loss=adapter.first_loss,
        last_loss=adapter.last_loss,
        divergence=adapter.divergence,
        losses=tuple(curve),
        seed=seed,
        weights_before=work.weights,
        weights_after=weights_digest(context.build(plan(memory), adapter.delta)),
        seconds=round(time.monotonic() - began, 6),
    )
    return Done(RecordTraining(work=work, adapter=trained), context.remembered)


def _by_neurons(
    context: Context,
    work: SleepStep,
    memory: Memory,
    taught: Sequence[FactId],
    scales: Mapping[FactId, float],
    seed: int,
    began: float,
) -> Done:
    """Trains an adapter of neurons. It speaks where detectors of its facts respond, so there is nothing to rehearse."""
    learned, columns = train_neurons(context, memory, taught, scales)
    trained = AdapterTrained(
        adapter=AdapterId(next_uuid()),
        sleep=work.sleep,
        delta=context.deltas.put(learned.delta, columns),
        modules=tuple(learned.delta.factors),
        rank=learned.delta.columns,
        facts=tuple(taught),
        rehearsed=(),
        texts=0,
        steps=learned.steps,
        first_loss=_mean(learned.before),
        last_loss=_mean(learned.loss),
        divergence=learned.divergence,
        losses=(),
        seed=seed,
        weights_before=work.weights,
        weights_after=weights_digest(context.build(plan(memory), learned.delta)),
        seconds=round(time.monotonic() - began, 6),
        columns=columns,
    )
    return Done(RecordTraining(work=work, adapter=trained), None)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def seed_of(sleep: int, training: int) -> int:
    """Returns the seed of one training of a sleep.

    Both numbers are mixed because sleeps are often given consecutive seeds, and no two trainings may draw alike.
    """
    return Random(f"{sleep} {training}").getrandbits(31)


def _facts(
    work: SleepStep, memory: Memory, number: int, random: Random
) -> tuple[tuple[FactId, ...], tuple[FactId, ...]]:
    """Returns the facts to teach, and at most `number` dissolved facts to rehearse.

    Where no fact is left to teach, those to rehearse are taught.
    """
    dissolved = [fact for fact, state in memory.facts.items() if _carried_by_adapters(state)]
    old = tuple(random.sample(dissolved, min(len(dissolved), number)))
    new = tuple(fact for fact in work.facts if not memory.facts[fact].retracted)
    return (new, old) if new else (old, ())


def _weights(context: Context, memory: Memory, scales: Mapping[FactId, float]) -> dict[str, Tensor]:
    return context.build(plan_at(memory, scales))


def _wordings(context: Context, facts: list[Fact]) -> list[Wording]:
    """Returns the contexts in which each of `facts` is said, with its index."""
    return written_contexts(context.model, facts, context.created.prefixes)


def _rehearsal(context: Context, memory: Memory, number: int, random: Random) -> list[list[int]]:
    """Draws token ids of texts whose predictions the adapter must not change.

    They are `number` reference texts, as many about neighbours, twice as many about strangers, and `number` questions
    about the subjects of facts that no fact answers. Each training of a sleep draws others, because an adapter keeps
    what it rehearses and, less so, what is like it.
    """
    reference = context.reference.rehearsed

    def drawn(texts: list[list[int]], count: int) -> list[list[int]]:
        return random.sample(texts, min(len(texts), count))

    facts = [state.fact for state in memory.facts.values() if state.in_weights]
    questions = unanswered_questions(memory, facts, each=MAX_PROMPTS)
    return [
        *(text[:LONGEST] for text in drawn(reference.whole, number)),
        *drawn(reference.neighbours, number),
        *drawn(reference.strangers, 2 * number),
        *(context.model.chat_ids([], question) for question in random.sample(questions, min(len(questions), number))),
    ]


def _unlearned(context: Context, memory: Memory, number: int, random: Random) -> list[list[int]]:
    """Returns token ids of what the base model answers where a withdrawn fact is asked for.

    Of the facts whose counter-edit is in force, and of at most `number` that adapters have unlearned; without those
    whose subject and relation a newer fact has.
    """
    states = [state for state in memory.facts.values() if not state.erase and not _stated_again(memory, state)]
    countered = [state.fact for state in states if state.withdrawal is Withdrawal.COUNTER_EDIT]
    unlearned = [state.fact for state in states if state.withdrawal is Withdrawal.UNLEARNED]
    facts = [*countered, *random.sample(unlearned, min(len(unlearned), number))]
    with context.model.with_weights(context.model.base_weights):
        return [list(answer.ids) for answer in answers(context.model, _wordings(context, facts))]


def _recorded(curve: list[float], progress: Progress) -> Callable[[int, int, float | None], None]:
    """Returns a progress that adds every so many losses to `curve`."""

    def record(done: int, most: int, loss: float | None) -> None:
        if loss is not None and not done % max(1, most // CURVE):
            curve.append(round(loss, 6))
        progress(done, most, loss)

    return record


def _carried_by_adapters(state: FactState) -> bool:
    return state.status is Status.DISSOLVED and not state.retracted


def _stated_again(memory: Memory, state: FactState) -> bool:
    return statement_key(state.fact.subject, state.fact.relation) in memory.by_statement
