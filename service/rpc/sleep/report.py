"""One sleep or nap, folded from its events into a report, and told event by event to whoever watches it.

Pure: it knows the memory before the sleep and the events since. The operation, GetSleep and WatchSleep share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from hypnogram.v1 import sleep_pb2

from core.events import Recorded
from core.events.facts import EditComputed, WorkFailed
from core.events.history import FactRetracted, FactSuperseded
from core.events.sleep import (
    AdapterTrained,
    ControlsMeasured,
    FactAdvanced,
    FactAudited,
    FactDissolved,
    FactRefreshed,
    FactRetreated,
    FactsRescaled,
    SleepCompleted,
    SleepRolledBack,
    SleepStarted,
)
from core.evolve import fold
from core.facts import Fact
from core.ids import FactId
from core.state.memory import Memory
from core.state.sleep import Occasion
from service.rpc.messages.policy import policy_message
from service.rpc.messages.responses import pressure_message, step_at

News = sleep_pb2.WatchSleepResponse


class SleepReportBuilder:
    """The account of a sleep so far.

    Attributes:
        state: the memory at the version reached.
        ended: whether the sleep has.
    """

    def __init__(self, before: Memory) -> None:
        self.state = before
        self.ended = False
        self._report = sleep_pb2.SleepReport(
            pressure_before=pressure_message(before), weights_before=before.weights or ""
        )
        self._facts = {fact: state.fact for fact, state in before.facts.items()}
        self._scales = {fact: state.scale for fact, state in before.facts.items()}
        self._gone = {fact for fact, state in before.facts.items() if state.retracted}
        self._verdicts: dict[FactId, FactAudited] = {}  # of the last full audit, on facts that nobody has taken back
        self._found_degraded: dict[FactId, FactAudited] = {}
        self._moved: dict[FactId, sleep_pb2.FactChange] = {}
        self._began: datetime | None = None

    def add(self, events: Sequence[Recorded]) -> list[News]:
        """Takes in the next events of the memory, of whatever kind; those after the sleep's end are left out."""
        news: list[News] = []
        taken = 0
        for recorded in events:
            if self.ended:
                break
            taken += 1
            self._clock(recorded)
            if told := self._told(recorded):
                news.append(told)
        self.state = fold((recorded.event for recorded in events[:taken]), onto=self.state)
        if self.ended:
            news.append(News(version=self.state.version, ended=self.report()))
        return news

    def report(self) -> sleep_pb2.SleepReport:
        """All that the sleep did, so far or until its end."""
        report = sleep_pb2.SleepReport()
        report.CopyFrom(self._report)
        report.degraded.extend(self._verdict(one) for one in self._verdicts.values() if not one.healthy)
        report.healthy_after = self.healthy
        report.audited = len(self._verdicts)
        report.step = "" if self.ended else step_at(self.state)
        report.pressure_after.CopyFrom(pressure_message(self.state))
        report.weights_after = self.state.weights or ""
        return report

    @property
    def healthy(self) -> int:
        """How many facts the last audit has found so."""
        return sum(one.healthy for one in self._verdicts.values())

    @property
    def advanced(self) -> int:
        return len(self._report.advanced)

    def _clock(self, recorded: Recorded) -> None:
        at = datetime.fromisoformat(recorded.recorded_at)
        self._began = self._began or at
        self._report.seconds = (at - self._began).total_seconds()

    def _told(self, recorded: Recorded) -> News | None:
        """Takes in one event; how it looks to a watcher, None where it is not about the sleep."""
        event, version, report = recorded.event, recorded.version, self._report
        match event:
            case SleepStarted():
                return News(version=version, began=self._start(event, recorded))
            case FactAudited():
                if event.occasion != Occasion.GATE and event.fact not in self._gone:
                    self._verdicts[event.fact] = event
                return News(version=version, verdict=self._verdict(event))
            case ControlsMeasured():
                return News(version=version, audited=self._audited(event))
            case EditComputed():
                facts = [columns.fact for columns in event.columns]
                self._found_degraded = {fact: self._verdicts.pop(fact) for fact in facts if fact in self._verdicts}
                report.edits.add(edit=event.edit, facts=facts, seconds=event.seconds)
                return News(version=version, edit=report.edits[-1])
            case AdapterTrained():
                report.adapters.append(_adapter(event))
                return News(version=version, adapter=report.adapters[-1])
            case FactsRescaled():
                rescaled = sleep_pb2.Rescaled(facts=len(event.scales), crowding=event.crowding, seconds=event.seconds)
                return News(version=version, rescaled=rescaled)
            case FactRefreshed() | FactAdvanced() | FactRetreated() | FactDissolved():
                return News(version=version, change=self._change(event))
            case WorkFailed() if not event.facts:
                report.failures.add(
                    step=event.work,
                    attempt=event.attempt,
                    reason=event.reason,
                    message=event.message,
                    final=event.parked,
                )
                return News(version=version, failure=report.failures[-1])
            case FactRetracted() | FactSuperseded():
                self._gone.add(event.fact)
                self._verdicts.pop(event.fact, None)
            case SleepCompleted() | SleepRolledBack():
                self._end(event, recorded)
        return None

    def _start(self, event: SleepStarted, recorded: Recorded) -> sleep_pb2.SleepBegan:
        report = self._report
        report.sleep, report.kind, report.trigger, report.seed = event.sleep, event.kind, event.trigger, event.seed
        report.policy.CopyFrom(policy_message(event.policy))
        report.began_version = recorded.version
        report.began_at.FromJsonString(recorded.recorded_at)
        return sleep_pb2.SleepBegan(sleep=event.sleep, kind=event.kind, trigger=event.trigger, began_at=report.began_at)

    def _audited(self, event: ControlsMeasured) -> sleep_pb2.Audited:
        controls = sleep_pb2.Controls(
            neighbours=event.neighbours,
            strangers=event.strangers,
            untold=event.untold,
            perplexity=event.perplexity,
            base_perplexity=event.base_perplexity,
        )
        if not self._report.HasField("controls_before"):
            self._report.controls_before.CopyFrom(controls)
            self._report.healthy_before = self.healthy
        self._report.controls_after.CopyFrom(controls)
        return sleep_pb2.Audited(
            occasion=event.occasion,
            controls=controls,
            healthy=self.healthy,
            facts=len(self._verdicts),
            seconds=event.seconds,
        )

    def _verdict(self, event: FactAudited) -> sleep_pb2.FactVerdict:
        fact = self._facts[event.fact]
        return sleep_pb2.FactVerdict(
            fact=fact.id,
            subject=fact.subject,
            relation=fact.relation,
            object=fact.object,
            occasion=event.occasion,
            healthy=event.healthy,
            known=event.known,
            passed=event.passed,
            asked=event.asked,
            scale=event.scale,
        )

    def _change(self, event: FactRefreshed | FactAdvanced | FactRetreated | FactDissolved) -> sleep_pb2.FactChange:
        change = _change_of(self._facts[event.fact])
        match event:
            case FactRefreshed():
                change.what = "refreshed"
                change.from_stage, change.stage = event.from_stage, event.stage
                change.from_scale, change.scale = self._scales[event.fact], event.scale
                if (found := self._found_degraded.get(event.fact)) is not None:
                    change.passed, change.asked = found.passed, found.asked
                self._report.refreshed.append(change)
            case FactDissolved():
                change.CopyFrom(self._moved[event.fact])
                change.what = "dissolved"
                self._report.dissolved.append(change)
            case FactAdvanced() | FactRetreated():
                change.what = "advanced" if isinstance(event, FactAdvanced) else "retreated"
                change.from_stage, change.stage = event.from_stage, event.stage
                change.from_scale, change.scale = event.from_scale, event.scale
                change.passed, change.asked = event.passed, event.asked
                self._moved[event.fact] = change
                (self._report.advanced if change.what == "advanced" else self._report.retreated).append(change)
        self._scales[event.fact] = change.scale
        return change

    def _end(self, event: SleepCompleted | SleepRolledBack, recorded: Recorded) -> None:
        self.ended = True
        self._report.ended = True
        self._report.ended_version = recorded.version
        self._report.ended_at.CopyFrom(_timestamp(recorded.recorded_at))
        if isinstance(event, SleepCompleted):
            self._report.completed, self._report.remark = True, event.remark
        else:
            self._report.reason, self._report.remark = event.reason, event.message


def report(before: Memory, events: Sequence[Recorded]) -> sleep_pb2.SleepReport:
    """The report of the sleep that began with the first of `events`; `before` is the memory before that one."""
    account = SleepReportBuilder(before)
    account.add(events)
    return account.report()


def _change_of(fact: Fact) -> sleep_pb2.FactChange:
    return sleep_pb2.FactChange(fact=fact.id, subject=fact.subject, relation=fact.relation, object=fact.object)


def _adapter(event: AdapterTrained) -> sleep_pb2.TrainedAdapter:
    return sleep_pb2.TrainedAdapter(
        adapter=event.adapter,
        facts=len(event.facts),
        rehearsed=len(event.rehearsed),
        texts=event.texts,
        steps=event.steps,
        first_loss=event.first_loss,
        last_loss=event.last_loss,
        divergence=event.divergence,
        losses=event.losses,
        seconds=event.seconds,
    )


def _timestamp(text: str) -> Timestamp:
    stamp = Timestamp()
    stamp.FromJsonString(text)
    return stamp
