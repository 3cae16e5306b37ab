"""Steps of a sleep done in no time: plausible events with invented digests of weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from core.decide.commands import Command, RecordAudit, RecordEnd, RecordRefresh, RecordRescale, RecordTraining
from core.events.facts import EditKind
from core.events.sleep import AdapterTrained, Control, ControlsMeasured, FactAudited, ProbeResult
from core.facts import Fact
from core.ids import AdapterId, FactId
from core.state.memory import Memory
from core.state.sleep import Occasion, Step
from core.state.work import SleepStep
from tests.core.samples import CREATED, digest, edit


@dataclass
class Dream:
    """What the steps find.

    Attributes:
        degraded: facts that audits find degraded until they were refreshed.
        turned_back: facts that the gate turns back.
        perplexity: of held-out text once an adapter was trained; 10.0 before.
        unanswered: share of questions on what was not told that are answered as the base model does.
    """

    degraded: Collection[FactId] = field(default_factory=tuple)
    turned_back: Collection[FactId] = field(default_factory=tuple)
    perplexity: float = 10.01
    unanswered: float = 0.96

    def perform(self, work: SleepStep, memory: Memory) -> Command:
        """Returns the command that `service.executor.editor.Editor.perform` would."""
        assert memory.sleep is not None
        match work.step:
            case Step.AUDIT:
                refreshed = memory.sleep.refreshed
                bad = [fact for fact in self.degraded if fact not in refreshed]
                return RecordAudit(work=work, audited=_probed(work, memory, bad), controls=self._controls(work, memory))
            case Step.GATE:
                return RecordAudit(work=work, audited=_probed(work, memory, self.turned_back), controls=None)
            case Step.REFRESH:
                written = edit(*work.facts, before=work.weights, number=memory.version, key_occupancy=0.02)
                return RecordRefresh(work=work, edit=replace(written, kind=EditKind.REFRESH))
            case Step.TRAIN:
                return RecordTraining(work=work, adapter=_adapter(work, memory))
            case Step.RESCALE:
                return RecordRescale(
                    work=work, weights=digest("scaled", memory.version), key_occupancy=0.015, seconds=0.5
                )
            case Step.END:
                return RecordEnd(work=work)

    def _controls(self, work: SleepStep, memory: Memory) -> ControlsMeasured:
        assert memory.sleep is not None
        return ControlsMeasured(
            sleep=work.sleep,
            occasion=work.occasion,
            neighbours=1.0,
            strangers=0.98,
            unanswered=self.unanswered,
            perplexity=self.perplexity if memory.sleep.trainings else 10.0,
            base_perplexity=9.9,
            weights=work.weights,
            controls=(Control(kind="stranger", prompt="Where does Cy Ames live?", before="Who?", output="Who?"),),
            seconds=0.25,
        )


def _probed(work: SleepStep, memory: Memory, bad: Collection[FactId]) -> tuple[FactAudited, ...]:
    assert memory.sleep is not None
    scales = memory.sleep.policy.scales
    return tuple(
        FactAudited(
            fact=fact,
            sleep=work.sleep,
            occasion=work.occasion,
            scale=scales[memory.facts[fact].stage + 1] if work.occasion is Occasion.GATE else memory.facts[fact].scale,
            healthy=fact not in bad,
            known=False,
            passed=1 if fact in bad else 2,
            asked=2,
            weights=work.weights,
            probes=_probes(memory.facts[fact].fact, fact in bad),
        )
        for fact in work.facts
    )


def _probes(fact: Fact, bad: bool) -> tuple[ProbeResult, ...]:
    asked = (("raw", fact.wordings.statements[0]), ("chat", fact.wordings.questions[0]))
    return tuple(
        ProbeResult(
            pathway=pathway,
            prompt=prompt,
            expected=fact.object,
            output="Nowhere" if bad and pathway == "chat" else fact.object,
            passed=not (bad and pathway == "chat"),
            logprob=-0.125,
        )
        for pathway, prompt in asked
    )


def _adapter(work: SleepStep, memory: Memory) -> AdapterTrained:
    assert memory.sleep is not None
    return AdapterTrained(
        adapter=AdapterId(f"adapter-{memory.version}"),
        sleep=work.sleep,
        delta=digest("adapter", memory.version),
        modules=CREATED.modules,
        rank=memory.sleep.policy.training.rank,
        facts=work.facts,
        rehearsed=(),
        texts=8,
        steps=memory.sleep.policy.training.steps,
        first_loss=2.5,
        last_loss=0.125,
        divergence=0.01,
        losses=(2.5, 0.125),
        seed=memory.sleep.started.seed,
        weights_before=work.weights,
        weights_after=digest("adapted", memory.version),
        seconds=1.0,
    )
