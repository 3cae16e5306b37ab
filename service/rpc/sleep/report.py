"""Builds the report of one sleep or nap from its events, and the news that a watcher gets of each event.

Pure: everything follows from the memory before the sleep and the events since. The operation, GetSleep and WatchSleep
share this code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from hypnogram.v1 import facts_pb2, sleep_pb2

from core.events import Event, Recorded
from core.events.deletion import MemoryDeleted
from core.events.facts import EditComputed, WorkFailed
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
from core.state.sleep import Verdict
from service.rpc.messages.policy import policy_message
from service.rpc.messages.responses import pressure_message, step_at

News = sleep_pb2.WatchSleepResponse


class SleepReportBuilder:
    """Builds the report of one sleep from its events.

    Which verdicts stand and at which scale a fact was follows from the memory's state, so events are folded up to every
    point where that is needed: before a refresh, after an audit, before the end.

    Attributes:
        state: the memory at the version reached.
        ended: whether the sleep has ended.
    """

    def __init__(self, before: Memory) -> None:
        self.state = before
        self.ended = False
        self._asleep = before  # the newest state in which the sleep is in progress, once it has begun
        self._before_edit = before  # the state that the last refresh found
        self._report = sleep_pb2.SleepReport(
            pressure_before=pressure_message(before), weights_before=before.weights or ""
        )
        self._verdicts: dict[int, sleep_pb2.FactVerdict] = {}  # by the version of their event
        self._began: datetime | None = None

    def add(self, events: Sequence[Recorded]) -> list[News]:
        """Takes the next events of the memory, of any kind, and returns their news.

        It stops at the end of the sleep, or of the memory.
        """
        news: list[News] = []
        unfolded: list[Event] = []
        for recorded in events:
            if self.ended:
                break
            event = recorded.event
            if isinstance(event, (EditComputed, SleepCompleted, SleepRolledBack)):
                self._fold(unfolded)  # up to the event before this one
            unfolded.append(event)
            if isinstance(event, MemoryDeleted):
                break  # what follows may be about a new memory of its name
            if isinstance(event, ControlsMeasured):
                self._fold(unfolded)
            self._clock(recorded)
            if (piece := self._news(recorded)) is not None:
                news.append(piece)
        self._fold(unfolded)
        if self.ended:
            news.append(News(version=self.state.version, ended=self.report()))
        return news

    def report(self) -> sleep_pb2.SleepReport:
        """The report up to the version reached."""
        report = sleep_pb2.SleepReport()
        report.CopyFrom(self._report)
        verdicts = _verdicts(self._asleep)
        report.degraded.extend(self._verdicts[verdict.version] for verdict in verdicts.values() if not verdict.healthy)
        report.healthy_after = _healthy(self._asleep)
        report.audited = len(verdicts)
        report.step = "" if self.ended else step_at(self.state)
        report.pressure_after.CopyFrom(pressure_message(self.state))
        report.weights_after = self.state.weights or ""
        return report

    def _fold(self, unfolded: list[Event]) -> None:
        """Folds `unfolded` into the state and empties it."""
        self.state = fold(unfolded, onto=self.state)
        unfolded.clear()
        if not self.ended:
            self._asleep = self.state

    def _clock(self, recorded: Recorded) -> None:
        at = datetime.fromisoformat(recorded.recorded_at)
        self._began = self._began or at
        self._report.seconds = (at - self._began).total_seconds()

    def _news(self, recorded: Recorded) -> News | None:
        """Adds one event to the report; returns what a watcher sees of it, None where it is not about the sleep."""
        event, version, report = recorded.event, recorded.version, self._report
        match event:
            case SleepStarted():
                return News(version=version, began=self._start(event, recorded))
            case FactAudited():
                self._verdicts[version] = _verdict(event, self.state.facts[event.fact].fact)
                return News(version=version, verdict=self._verdicts[version])
            case ControlsMeasured():
                return News(version=version, audited=self._audited(event))
            case EditComputed():
                self._before_edit = self.state
                report.edits.add(
                    edit=event.edit, facts=[columns.fact for columns in event.columns], seconds=event.seconds
                )
                return News(version=version, edit=report.edits[-1])
            case AdapterTrained():
                report.adapters.append(_adapter(event))
                return News(version=version, adapter=report.adapters[-1])
            case FactsRescaled():
                rescaled = sleep_pb2.Rescaled(
                    facts=len(event.scales), key_occupancy=event.key_occupancy, seconds=event.seconds
                )
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
            unanswered=event.unanswered,
            perplexity=event.perplexity,
            base_perplexity=event.base_perplexity,
        )
        if event.distance is not None:
            controls.contamination.CopyFrom(facts_pb2.Contamination(**asdict(event.distance.contamination)))
            controls.text_divergence, controls.question_divergence = event.distance.text, event.distance.questions
        if not self._report.HasField("controls_before"):
            self._report.controls_before.CopyFrom(controls)
            self._report.healthy_before = _healthy(self.state)
        self._report.controls_after.CopyFrom(controls)
        return sleep_pb2.Audited(
            occasion=event.occasion,
            controls=controls,
            healthy=_healthy(self.state),
            facts=len(_verdicts(self.state)),
            seconds=event.seconds,
        )

    def _change(self, event: FactRefreshed | FactAdvanced | FactRetreated | FactDissolved) -> sleep_pb2.FactChange:
        report, fact = self._report, self.state.facts[event.fact].fact
        change = sleep_pb2.FactChange(fact=fact.id, subject=fact.subject, relation=fact.relation, object=fact.object)
        match event:
            case FactRefreshed():
                change.what = "refreshed"
                change.from_stage, change.stage = event.from_stage, event.stage
                change.from_scale, change.scale = self._before_edit.facts[event.fact].scale, event.scale
                if (degraded := _verdicts(self._before_edit).get(event.fact)) is not None:
                    change.passed, change.asked = degraded.passed, degraded.asked
                report.refreshed.append(change)
            case FactDissolved():
                # follows its FactAdvanced in the same append, so the search ends at once
                advanced = next(moved for moved in reversed(report.advanced) if moved.fact == event.fact)
                change.CopyFrom(advanced)
                change.what = "dissolved"
                report.dissolved.append(change)
            case FactAdvanced() | FactRetreated():
                change.what = "advanced" if isinstance(event, FactAdvanced) else "retreated"
                change.from_stage, change.stage = event.from_stage, event.stage
                change.from_scale, change.scale = event.from_scale, event.scale
                change.passed, change.asked = event.passed, event.asked
                (report.advanced if change.what == "advanced" else report.retreated).append(change)
        return change

    def _end(self, event: SleepCompleted | SleepRolledBack, recorded: Recorded) -> None:
        self.ended = True
        self._report.ended = True
        self._report.ended_version = recorded.version
        self._report.ended_at.FromJsonString(recorded.recorded_at)
        if isinstance(event, SleepCompleted):
            self._report.completed, self._report.remark = True, event.remark
        else:
            self._report.reason, self._report.remark = event.reason, event.message


def report(before: Memory, events: Sequence[Recorded]) -> sleep_pb2.SleepReport:
    """The report of the sleep that began with the first of `events`; `before` is the memory before that event."""
    builder = SleepReportBuilder(before)
    builder.add(events)
    return builder.report()


def _verdicts(state: Memory) -> Mapping[FactId, Verdict]:
    """The verdicts that stand in the sleep in progress: of the last full audit, on facts not retracted since."""
    return state.sleep.verdicts if state.sleep is not None else {}


def _healthy(state: Memory) -> int:
    """The number of facts that the last full audit found healthy."""
    return sum(verdict.healthy for verdict in _verdicts(state).values())


def _verdict(event: FactAudited, fact: Fact) -> sleep_pb2.FactVerdict:
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
