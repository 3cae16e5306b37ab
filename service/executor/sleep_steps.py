"""The steps of a sleep that look and train, and change no weights by themselves: audit, gate, train, end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from random import Random

from torch import Tensor

from core.decide.commands import Command, RecordAudit, RecordEnd, RecordTraining
from core.decide.limits import MAX_PROMPTS
from core.decide.sleep import next_scales
from core.events.memory import MemoryCreated
from core.events.sleep import AdapterTrained, Control, ControlsMeasured, FactAudited
from core.facts import Fact
from core.ids import AdapterId, FactId
from core.state.gate import known, passes
from core.state.memory import FactState, Memory, Status, Withdrawal, statement_key
from core.state.plan import plan, plan_at
from core.state.sleep import Occasion, Step
from core.state.unanswered import unanswered_questions
from core.state.work import SleepStep
from core.weights.deltas.digest import weights_digest
from core.weights.evaluation.audit import UNTOLD, BaseAnswers, Ordinary, audit, documents, split
from core.weights.evaluation.perplexity import perplexity_of
from core.weights.lora.training import train_adapter
from core.weights.memit.counter_edit import answers
from core.weights.memit.covariance import KeyCovariance
from core.weights.model.contexts import Context, contexts_of
from core.weights.model.editable_model import EditableModel
from core.weights.model.generation import greedy
from core.weights.model.reference_text import OrdinaryText, read_ordinary
from service.weights.projection import DeltaStore, build
from store.artifacts import Artifacts
from store.clock import next_uuid

CURVE = 20  # points of a loss curve that are recorded
LONGEST = 64  # tokens of a rehearsed text

Progress = Callable[[int, int, float | None], None]  # done, of how many, loss


class SleepSteps:
    """Sits with one memory through its nights. Keeps only what follows from the pristine model."""

    def __init__(self, model: EditableModel, created: MemoryCreated, artifacts: Artifacts, deltas: DeltaStore) -> None:
        self._model = model
        self._created = created
        self._artifacts = artifacts
        self._deltas = deltas
        self._pristine = BaseAnswers(model)
        self._base_perplexity: dict[int, float] = {}

    def perform(self, work: SleepStep, memory: Memory, progress: Progress) -> Command:
        """Does an audit, a gate, a training or the end of a sleep."""
        match work.step:
            case Step.AUDIT:
                return self._audit(work, memory, progress)
            case Step.GATE:
                return self._gate(work, memory, progress)
            case Step.TRAIN:
                return self._train(work, memory, progress)
            case _:
                return RecordEnd(work=work)

    def _audit(self, work: SleepStep, memory: Memory, progress: Progress) -> RecordAudit:
        began = time.monotonic()
        self._model.install(build(self._model, self._deltas, plan(memory)))
        audited = self._probe(work, memory, {}, self._untold(work, memory), progress)
        controls = self._controls(work, memory, audited, began)
        return RecordAudit(work=work, audited=audited, controls=controls)

    def _gate(self, work: SleepStep, memory: Memory, progress: Progress) -> RecordAudit:
        """Probes each fact with all edits at the scales they would have next: materialised, not guessed."""
        scales = next_scales(memory, work.facts)
        self._model.install(build(self._model, self._deltas, plan_at(memory, scales)))
        return RecordAudit(work=work, audited=self._probe(work, memory, scales, {}, progress), controls=None)

    def _probe(
        self,
        work: SleepStep,
        memory: Memory,
        scales: Mapping[FactId, float],
        untold: Mapping[int, list[str]],
        progress: Progress,
    ) -> tuple[FactAudited, ...]:
        assert memory.sleep is not None
        policy = memory.sleep.policy
        share = policy.gate if work.occasion is Occasion.GATE else policy.healthy
        states = [memory.facts[fact] for fact in work.facts]
        results = audit(
            self._model,
            self._pristine,
            [state.fact for state in states],
            policy.probes,
            [state.healthy is None for state in states],
            [state.status is Status.WITHDRAWN for state in states],
            untold,
            lambda done, total: progress(done, total, None),
        )
        weights = self._model.digest()
        return tuple(
            FactAudited(
                fact=fact,
                sleep=work.sleep,
                occasion=work.occasion,
                scale=scales.get(fact, state.scale),
                healthy=passes(probes, share),
                known=state.known_to_base or known(probes),
                passed=sum(probe.passed for probe in probes if probe.pathway != UNTOLD),
                asked=sum(probe.pathway != UNTOLD for probe in probes),
                weights=weights,
                probes=probes,
            )
            for fact, state, probes in zip(work.facts, states, results, strict=True)
        )

    def _untold(self, work: SleepStep, memory: Memory) -> dict[int, list[str]]:
        """For some facts, questions about their subjects on what nobody told; each subject once, `controls` in all.

        In the same words in every audit of a sleep.
        """
        assert memory.sleep is not None
        first = {memory.facts[fact].fact.subject: index for index, fact in reversed(list(enumerate(work.facts)))}
        questions = [
            (index, question)
            for subject, index in first.items()
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
        self, work: SleepStep, memory: Memory, audited: tuple[FactAudited, ...], began: float
    ) -> ControlsMeasured:
        assert memory.sleep is not None
        number, held_out = memory.sleep.policy.controls, self._ordinary[0]
        controls = [
            *self._asked("neighbour", held_out.neighbours[:number]),
            *self._asked("stranger", held_out.strangers[:number]),
        ]
        untold = [probe.passed for one in audited for probe in one.probes if probe.pathway == UNTOLD]
        texts = self._documents[:number]
        if number not in self._base_perplexity:
            with self._model.with_weights(self._model.base_weights):
                self._base_perplexity[number] = perplexity_of(self._model, texts)
        return ControlsMeasured(
            sleep=work.sleep,
            occasion=work.occasion,
            neighbours=_unchanged(controls, "neighbour"),
            strangers=_unchanged(controls, "stranger"),
            untold=sum(untold) / len(untold) if untold else 1.0,
            perplexity=perplexity_of(self._model, texts),
            base_perplexity=self._base_perplexity[number],
            weights=self._model.digest(),
            controls=tuple(controls),
            seconds=round(time.monotonic() - began, 6),
        )

    def _asked(self, kind: str, prompts: list[list[int]]) -> list[Control]:
        before = self._pristine.continued(prompts)
        now = greedy(self._model, prompts, sentence=True)
        words = [self._model.tokenizer.decode(prompt, skip_special_tokens=True) for prompt in prompts]
        return [
            Control(kind=kind, prompt=prompt, before=was, output=is_)
            for prompt, was, is_ in zip(words, before, now, strict=True)
        ]

    def _train(self, work: SleepStep, memory: Memory, progress: Progress) -> RecordTraining:
        began = time.monotonic()
        sleep = memory.sleep
        assert sleep is not None
        seed = seed_of(sleep.started.seed, sleep.trainings + sleep.mendings)
        policy, random = sleep.policy, Random(seed)
        dissolved = [fact for fact, state in memory.facts.items() if _carried_by_adapters(state)]
        old = random.sample(dissolved, min(len(dissolved), policy.rehearsed))
        new = tuple(fact for fact in work.facts if not memory.facts[fact].retracted)
        taught, repeated = (new, tuple(old)) if new else (tuple(old), ())
        then = {} if sleep.rescaled else next_scales(memory, work.facts)  # what mends keeps the scales there are
        base_variants = [self._weights(memory, dict.fromkeys(work.facts, 0.0)), self._weights(memory, then)]
        texts = self._rehearsal(memory, policy.texts, random)
        curve: list[float] = []

        def trained(done: int, most: int, loss: float) -> None:
            if not done % max(1, most // CURVE):
                curve.append(round(loss, 6))
            progress(done, most, loss)

        adapter = train_adapter(
            self._model,
            self._lessons([memory.facts[fact].fact for fact in taught]),
            self._lessons([memory.facts[fact].fact for fact in repeated]),
            texts,
            base_variants,
            self._statistics(memory).moments,
            policy.training,
            seed,
            unlearned=self._unlearned(memory, policy.rehearsed, random),
            progress=trained,
        )
        return RecordTraining(
            work=work,
            adapter=AdapterTrained(
                adapter=AdapterId(next_uuid()),
                sleep=work.sleep,
                delta=self._deltas.put(adapter.delta),
                modules=self._model.modules,
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
                weights_after=weights_digest(build(self._model, self._deltas, plan(memory), adapter.delta)),
                seconds=round(time.monotonic() - began, 6),
            ),
        )

    def _statistics(self, memory: Memory) -> KeyCovariance:
        assert memory.statistics is not None
        return KeyCovariance.from_bytes(self._artifacts.get(memory.statistics.artifact))

    def _weights(self, memory: Memory, scales: Mapping[FactId, float]) -> dict[str, Tensor]:
        return build(self._model, self._deltas, plan_at(memory, scales))

    def _lessons(self, facts: list[Fact]) -> list[Context]:
        prefixes = self._created.prefixes
        return [one for index, fact in enumerate(facts) for one in contexts_of(self._model, index, fact, prefixes)]

    def _rehearsal(self, memory: Memory, number: int, random: Random) -> list[list[int]]:
        """Ordinary texts, as many neighbours, twice as many strangers, and questions on what told people were not.

        Others in each training of a night: an adapter keeps what it rehearses and, less so, what is like it.
        """
        ordinary = self._ordinary[1]

        def drawn(texts: list[list[int]], count: int) -> list[list[int]]:
            return random.sample(texts, min(len(texts), count))

        told = [state.fact for state in memory.facts.values() if state.in_weights]
        questions = unanswered_questions(memory, told, each=MAX_PROMPTS)
        return [
            *(text[:LONGEST] for text in drawn(ordinary.whole, number)),
            *drawn(ordinary.neighbours, number),
            *drawn(ordinary.strangers, 2 * number),
            *(self._model.chat_ids([], one) for one in random.sample(questions, min(len(questions), number))),
        ]

    def _unlearned(self, memory: Memory, number: int, random: Random) -> list[list[int]]:
        """What the pristine model says where a withdrawn fact was asked for, unless another fact answers there now.

        Of facts whose counter-edit is in force, and of so many that adapters have unlearned.
        """
        states = [state for state in memory.facts.values() if not state.erase and not _said_again(memory, state)]
        fading = [state.fact for state in states if state.withdrawal is Withdrawal.COUNTER_EDIT]
        gone = [state.fact for state in states if state.withdrawal is Withdrawal.UNLEARNED]
        facts = [*fading, *random.sample(gone, min(len(gone), number))]
        with self._model.with_weights(self._model.base_weights):
            return [list(one.ids) for one in answers(self._model, self._lessons(facts))]

    @cached_property
    def _text(self) -> OrdinaryText:
        return read_ordinary(self._model, self._artifacts.get(self._created.ordinary_text))

    def held_out(self) -> Ordinary:
        """What controls are taken from."""
        return self._ordinary[0]

    @cached_property
    def _ordinary(self) -> tuple[Ordinary, Ordinary]:
        """What controls are taken from, and what is rehearsed."""
        return split(self._text)

    @cached_property
    def _documents(self) -> list[list[int]]:
        """Held-out texts whose perplexity is watched."""
        return documents(self._ordinary[0], self._text)


def seed_of(sleep: int, training: int) -> int:
    """Of one training of a sleep: sleeps are often given consecutive seeds, and no two trainings shall draw alike."""
    return Random(f"{sleep} {training}").getrandbits(31)


def _carried_by_adapters(state: FactState) -> bool:
    return state.status is Status.DISSOLVED and not state.retracted


def _said_again(memory: Memory, state: FactState) -> bool:
    return statement_key(state.fact.subject, state.fact.relation) in memory.by_statement


def _unchanged(controls: list[Control], kind: str) -> float:
    same = [control.output == control.before for control in controls if control.kind == kind]
    return sum(same) / len(same) if same else 1.0
