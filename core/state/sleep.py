"""A sleep in progress, and the step it is at: pure bookkeeping over the events since `SleepStarted`.

    audit -> refresh until none is degraded -> train -> gate (-> train, gate) -> rescale -> audit -> refresh
          (-> train -> audit -> refresh, to mend the harm that was found) -> end

A nap is an audit and its end. Every step is one piece of work and one append, so whatever kills an executor, folding
says at which step to go on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from core.events.sleep import ControlsMeasured, FactAudited, SleepStarted
from core.ids import FactId, SleepId
from core.policy import SleepPolicy

ROUNDING = 1e-9  # of shares
_CHANGED: Mapping[str, Any] = {"audited": False, "refreshes": 0, "degraded_at_refresh": None, "failures": 0}


class Step(StrEnum):
    AUDIT = "audit"
    REFRESH = "refresh"
    TRAIN = "train"
    GATE = "gate"
    RESCALE = "rescale"
    END = "end"


class Occasion(StrEnum):
    BEFORE = "before"
    GATE = "gate"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one audit said about a fact; `version` is its event's."""

    healthy: bool
    passed: int
    asked: int
    scale: float
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """How everything that was not told fared in one audit; fields as in `ControlsMeasured`."""

    neighbours: float
    strangers: float
    untold: float
    perplexity: float
    base_perplexity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """What the log says about the sleep in progress.

    Attributes:
        began: version of its SleepStarted.
        verdicts: of the last full audit, on facts that nobody has taken back; `gate` those of the last gate.
        audited: whether `verdicts` speak of the weights in force.
        evening, morning: controls of the first and of the last full audit.
        degraded_at_refresh: facts degraded when the last refresh since the last audit-free change began.
        refreshes: since the sleep began or the scales changed.
        trainings: adapters trained for the gate; `gated` whether the last of them met it.
        mendings: adapters trained after it, for the harm that the night did.
        healthy: facts that were so in the first audit and that nobody has taken back since.
    """

    started: SleepStarted
    began: int
    verdicts: Mapping[FactId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    gate: Mapping[FactId, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    audited: bool = False
    evening: Controls | None = None
    morning: Controls | None = None
    degraded_at_refresh: int | None = None
    refreshes: int = 0
    trainings: int = 0
    mendings: int = 0
    gated: bool = False
    rescaled: bool = False
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
    def occasion(self) -> Occasion:
        """Of the next full audit."""
        return Occasion.AFTER if self.rescaled else Occasion.BEFORE

    @property
    def degraded(self) -> tuple[FactId, ...]:
        """Facts that the last full audit found degraded."""
        return tuple(fact for fact, verdict in self.verdicts.items() if not verdict.healthy)

    def step(self, candidates: tuple[FactId, ...]) -> Step:
        """What comes next; `candidates` are facts that an edit is in force for and that nobody has just taken back."""
        if not self.audited:
            return Step.AUDIT
        if self.started.kind == "nap":
            return Step.END
        if self._worth_refreshing():
            return Step.REFRESH
        if self.rescaled and self.harm() is not None and self.mendings < self.policy.mendings:
            return Step.TRAIN
        if self.rescaled or not (candidates or self.trainings):  # what was trained is gated and audited in any case
            return Step.END
        if not self.trainings:
            return Step.TRAIN
        if not self.gated:
            return Step.GATE
        turned_back = any(not verdict.healthy for fact, verdict in self.gate.items() if fact in candidates)
        if turned_back and self.trainings < self.policy.trainings:
            return Step.TRAIN
        return Step.RESCALE

    def _worth_refreshing(self) -> bool:
        """Whether facts are degraded and the last refresh, if there was one, left fewer so than it found."""
        if self.trainings and not self.rescaled:
            return False
        degraded = len(self.degraded)
        progress = self.degraded_at_refresh is None or degraded < self.degraded_at_refresh
        return bool(degraded) and progress and self.refreshes < self.policy.refreshes

    def facts_audited(self, events: Sequence[tuple[FactAudited, int]]) -> Sleep:
        """With the verdicts of `events`, each with its version."""
        verdicts, gate, gated = dict(self.verdicts), dict(self.gate), False
        for event, version in events:
            at_gate = event.occasion == Occasion.GATE
            (gate if at_gate else verdicts)[event.fact] = Verdict(
                healthy=event.healthy, passed=event.passed, asked=event.asked, scale=event.scale, version=version
            )
            gated |= at_gate
        now = replace(self, verdicts=MappingProxyType(verdicts), gate=MappingProxyType(gate))
        return replace(now, gated=True, failures=0) if gated else now

    def taken_back(self, fact: FactId) -> Sleep:
        """Without what was found about `fact`, which is neither refreshed nor counted any more."""
        verdicts = MappingProxyType({one: verdict for one, verdict in self.verdicts.items() if one != fact})
        return replace(self, verdicts=verdicts, healthy=tuple(one for one in self.healthy if one != fact))

    def controls_measured(self, event: ControlsMeasured) -> Sleep:
        controls = Controls(
            neighbours=event.neighbours,
            strangers=event.strangers,
            untold=event.untold,
            perplexity=event.perplexity,
            base_perplexity=event.base_perplexity,
        )
        now = replace(self, audited=True, morning=controls, failures=0)
        if self.evening is None:
            healthy = tuple(fact for fact, verdict in self.verdicts.items() if verdict.healthy)
            return replace(now, evening=controls, healthy=healthy)
        return now

    def refreshed_by(self, facts: tuple[FactId, ...]) -> Sleep:
        """A refresh of `facts` changed the weights."""
        kept = MappingProxyType({fact: verdict for fact, verdict in self.verdicts.items() if fact not in facts})
        return replace(
            self,
            degraded_at_refresh=len(self.degraded),
            refreshes=self.refreshes + 1,
            verdicts=kept,
            audited=False,
            refreshed=tuple(dict.fromkeys((*self.refreshed, *facts))),
            failures=0,
        )

    def adapter_trained(self) -> Sleep:
        if self.rescaled:
            return replace(self, mendings=self.mendings + 1, **_CHANGED)
        return replace(self, trainings=self.trainings + 1, gated=False, gate=MappingProxyType({}), failures=0)

    def facts_rescaled(self) -> Sleep:
        return replace(self, rescaled=True, **_CHANGED)

    def harm(self) -> tuple[str, str] | None:
        """Reason and message when the night did more harm than its policy allows; None when it did not."""
        before, after, policy = self.evening, self.morning, self.policy
        if before is None or after is None:
            return None
        growth = after.perplexity / before.perplexity - 1
        if not growth <= policy.perplexity_limit:  # not a number is harm
            return (
                "perplexity",
                f"held-out perplexity grew by {growth:.1%}; at most {policy.perplexity_limit:.1%} is allowed",
            )
        for reason, was, now, limit in (
            ("neighbours", before.neighbours, after.neighbours, policy.neighbours_limit),
            ("strangers", before.strangers, after.strangers, policy.strangers_limit),
        ):
            least = was - (1 - limit)
            if not now >= least - ROUNDING:
                return reason, f"{now:.1%} of {reason} are unchanged, {was:.1%} were, {least:.1%} must be"
        were, are = len(self.healthy), sum(verdict.healthy for verdict in self.verdicts.values())
        allowed = math.ceil((1 - policy.recall_limit) * were - ROUNDING)
        if were - are > allowed:
            return "recall", f"{are} facts are healthy, {were} were; at most {allowed} may be lost"
        return None
