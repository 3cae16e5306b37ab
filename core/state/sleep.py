"""A sleep in progress and its next step, folded from the events since `SleepStarted`. Pure.

    audit -> refresh until none is degraded -> train -> gate (-> train, gate) -> rescale -> audit -> refresh
          (-> repair training -> audit -> refresh, if the sleep did harm) -> end

A nap is an audit and its end. Every step is one piece of work and one append, so that after an executor was killed,
folding the log gives the step at which to continue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from core.events.sleep import ControlsMeasured, FactAudited, SleepKind, SleepStarted
from core.ids import Digest, FactId, SleepId
from core.policy import SleepPolicy
from core.unchanged import Distance

ROUNDING = 1e-9  # tolerance for rounding errors of shares
_WEIGHTS_CHANGED: Mapping[str, Any] = {"audited": False, "refreshes": 0, "degraded_at_refresh": None, "failures": 0}


class Step(StrEnum):
    """The steps of a sleep."""

    AUDIT = "audit"
    REFRESH = "refresh"
    TRAIN = "train"
    GATE = "gate"
    RESCALE = "rescale"
    END = "end"


class Occasion(StrEnum):
    """When a fact is probed: in an audit before or after the rescale, or at the gate."""

    BEFORE = "before"
    GATE = "gate"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A fact's result in an audit or at the gate. Fields as in `FactAudited`; `version` is that event's."""

    healthy: bool
    passed: int
    asked: int
    scale: float
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Locality and perplexity in one audit. Fields as in `ControlsMeasured`."""

    neighbours: float
    strangers: float
    unanswered: float
    perplexity: float
    base_perplexity: float
    distance: Distance | None = None

    @property
    def spared(self) -> float:
        """Share of strangers who are answered without harm: as by the base model, or, where that invents its answers,
        without a told object that it does not say."""
        if self.distance is None:
            return self.strangers
        return 1 - max(self.distance.contamination.strangers, self.distance.contamination.namesakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """The state of the sleep in progress.

    Attributes:
        began: version of its SleepStarted.
        verdicts: results of the last audit, for facts that are not retracted.
        gate: results of the last gate.
        audited: whether `verdicts` are about the weights in force.
        controls_before, controls_after: controls of the first and of the last audit.
        refreshes: number of refreshes since the sleep began or, later, since the last rescale or repair training.
        degraded_at_refresh: number of degraded facts when the last of these refreshes began; None if there was none.
        trainings: number of adapters trained before the rescale.
        gated: whether the gate has asked the facts since the last of these trainings.
        rescaled_at: version of the rescale, by which scales follow from the gate; 0 before.
        repairs: number of repair trainings, which come after the rescale.
        weights_judged: digest of the weights without the adapters that were not judged yet; None where there is no
            such adapter, or a refresh has changed the weights since.
        advanced, retreated, refreshed, dissolved: facts by what the sleep did to them.
        healthy: facts that were healthy in the first audit and have not been retracted since.
        failures: number of failed attempts at the next step.
    """

    started: SleepStarted
    began: int
    verdicts: Mapping[FactId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    gate: Mapping[FactId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    audited: bool = False
    controls_before: Controls | None = None
    controls_after: Controls | None = None
    degraded_at_refresh: int | None = None
    refreshes: int = 0
    trainings: int = 0
    repairs: int = 0
    weights_judged: Digest | None = None
    gated: bool = False
    rescaled_at: int = 0
    advanced: tuple[FactId, ...] = ()
    retreated: tuple[FactId, ...] = ()
    refreshed: tuple[FactId, ...] = ()
    dissolved: tuple[FactId, ...] = ()
    healthy: tuple[FactId, ...] = ()
    failures: int = 0

    @property
    def id(self) -> SleepId:
        return self.started.sleep

    @property
    def policy(self) -> SleepPolicy:
        return self.started.policy

    @property
    def rescaled(self) -> bool:
        """Whether the scales that follow from the gate are in the weights."""
        return bool(self.rescaled_at)

    @property
    def occasion(self) -> Occasion:
        """Occasion of the next audit."""
        return Occasion.AFTER if self.rescaled else Occasion.BEFORE

    @property
    def degraded(self) -> tuple[FactId, ...]:
        """Facts that are degraded by the last audit."""
        return tuple(fact for fact, verdict in self.verdicts.items() if not verdict.healthy)

    def step(self, carried: tuple[FactId, ...], candidates: tuple[FactId, ...]) -> Step:
        """Returns the next step.

        Args:
            carried: facts that an edit carries, which a gate asks.
            candidates: those of them that do not await withdrawal.
        """
        if not self.audited:
            return Step.AUDIT
        if self.started.kind == SleepKind.NAP:
            return Step.END
        if self._worth_refreshing():
            return Step.REFRESH
        if self.rescaled and self.harm() is not None and self.repairs < self.policy.repairs:
            return Step.TRAIN
        if self.rescaled or not (candidates or self.trainings):  # an adapter in force is always gated and audited
            return Step.END
        if not self.trainings:
            return Step.TRAIN
        if carried and not self.gated:  # none is left where all are to be erased since the training
            return Step.GATE
        failed_gate = any(not verdict.healthy for fact, verdict in self.gate.items() if fact in candidates)
        if failed_gate and self.trainings < self.policy.trainings:
            return Step.TRAIN
        return Step.RESCALE

    def _worth_refreshing(self) -> bool:
        """Whether facts are degraded and the last refresh, if there was one, reduced their number."""
        if self.trainings and not self.rescaled:
            return False
        degraded = len(self.degraded)
        progress = self.degraded_at_refresh is None or degraded < self.degraded_at_refresh
        return bool(degraded) and progress and self.refreshes < self.policy.refreshes

    def facts_audited(self, events: Sequence[tuple[FactAudited, int]]) -> Sleep:
        """Returns the sleep with the verdicts of `events`, each given with its version."""
        verdicts, gate, gated = dict(self.verdicts), dict(self.gate), False
        for event, version in events:
            at_gate = event.occasion == Occasion.GATE
            (gate if at_gate else verdicts)[event.fact] = Verdict(
                healthy=event.healthy, passed=event.passed, asked=event.asked, scale=event.scale, version=version
            )
            gated |= at_gate
        now = replace(self, verdicts=MappingProxyType(verdicts), gate=MappingProxyType(gate))
        return replace(now, gated=True, failures=0) if gated else now

    def without(self, retracted: FactId) -> Sleep:
        """Returns the sleep without the verdict on a retracted fact, so that it is neither refreshed nor counted."""
        verdicts = {fact: verdict for fact, verdict in self.verdicts.items() if fact != retracted}
        healthy = tuple(fact for fact in self.healthy if fact != retracted)
        return replace(self, verdicts=MappingProxyType(verdicts), healthy=healthy)

    def controls_measured(self, event: ControlsMeasured) -> Sleep:
        """Returns the sleep after an audit, which `event` ends."""
        controls = Controls(
            neighbours=event.neighbours,
            strangers=event.strangers,
            unanswered=event.unanswered,
            perplexity=event.perplexity,
            base_perplexity=event.base_perplexity,
            distance=event.distance,
        )
        now = replace(self, audited=True, controls_after=controls, failures=0)
        if self.controls_before is None:
            healthy = tuple(fact for fact, verdict in self.verdicts.items() if verdict.healthy)
            return replace(now, controls_before=controls, healthy=healthy)
        return now

    def refreshed_by(self, facts: tuple[FactId, ...]) -> Sleep:
        """Returns the sleep after a refresh of `facts`."""
        kept = MappingProxyType({fact: verdict for fact, verdict in self.verdicts.items() if fact not in facts})
        return replace(
            self,
            degraded_at_refresh=len(self.degraded),
            refreshes=self.refreshes + 1,
            verdicts=kept,
            audited=False,
            weights_judged=None,
            refreshed=tuple(dict.fromkeys((*self.refreshed, *facts))),
            failures=0,
        )

    def adapter_trained(self, weights_before: Digest) -> Sleep:
        """Returns the sleep after a training: a repair training if it came after the rescale."""
        is_first = not (self.repairs if self.rescaled else self.trainings)
        without = weights_before if is_first else self.weights_judged
        now = replace(self, weights_judged=without)
        if self.rescaled:
            return replace(now, repairs=self.repairs + 1, **_WEIGHTS_CHANGED)
        return replace(now, trainings=self.trainings + 1, gated=False, gate=MappingProxyType({}), failures=0)

    def facts_rescaled(self, version: int) -> Sleep:
        """Returns the sleep after the rescale, which was recorded at `version`."""
        return replace(self, rescaled_at=version, weights_judged=None, **_WEIGHTS_CHANGED)

    def harm(self) -> tuple[str, str] | None:
        """Returns reason and message if the sleep did more harm than its policy allows, otherwise None."""
        before, after, policy = self.controls_before, self.controls_after, self.policy
        if before is None or after is None:
            return None
        growth = after.perplexity / before.perplexity - 1
        if not growth <= policy.perplexity_limit:  # written so that NaN counts as harm
            return (
                "perplexity",
                f"held-out perplexity grew by {growth:.1%}; at most {policy.perplexity_limit:.1%} is allowed",
            )
        for reason, was, now, limit in (
            ("neighbours", before.neighbours, after.neighbours, policy.neighbours_limit),
            ("strangers", before.spared, after.spared, policy.strangers_limit),
        ):
            least = was - (1 - limit)
            if not now >= least - ROUNDING:
                what = "unchanged" if reason == "neighbours" or after.distance is None else "not given a told object"
                return reason, f"{now:.1%} of {reason} are {what}, {was:.1%} were, {least:.1%} must be"
        for reason, evening, morning, most, what in _against_base(before, after, policy):
            if not morning <= max(evening, most) + ROUNDING:
                return reason, f"{what}: {morning:.3f}, {evening:.3f} before; at most {most:.3f} is allowed"
        were, are = len(self.healthy), sum(verdict.healthy for verdict in self.verdicts.values())
        allowed = math.ceil((1 - policy.recall_limit) * were - ROUNDING)
        if were - are > allowed:
            return "recall", f"{are} facts are healthy, {were} were; at most {allowed} may be lost"
        return None


def _against_base(
    before: Controls, after: Controls, policy: SleepPolicy
) -> Iterator[tuple[str, float, float, float, str]]:
    """Yields what two audits have measured against the base model: reason, before, after, limit, what it is.

    The limits hold however many nights there are. Facts that were added may have exceeded one before the sleep, which
    then must not add to that.
    """
    if before.distance is None or after.distance is None:
        return
    was, now = before.distance.contamination, after.distance.contamination
    others = "share of strangers or namesakes who are given a told object that the base model does not give them"
    untold = "share of untold relations that are answered by a told object, unlike by the base model"
    yield (
        "contamination", max(was.strangers, was.namesakes), max(now.strangers, now.namesakes),
        policy.contamination_limit, others,
    )  # fmt: skip
    yield "contamination", was.untold, now.untold, policy.untold_limit, untold
    known = "share of answers about what the base model knows that are not the base model's"
    yield "neighbours", 1 - before.neighbours, 1 - after.neighbours, 1 - policy.neighbours_limit, known
    for evening, morning, where in (
        (before.distance.text, after.distance.text, "of text"),
        (before.distance.questions, after.distance.questions, "of answers to general questions"),
    ):
        nats = f"KL divergence from the base model in nats a token, {where}"
        yield "divergence", evening, morning, policy.divergence_limit, nats
