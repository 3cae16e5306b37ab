"""The lineage of a fact: the events about it and their causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from core.events import Event, Recorded
from core.events.conversation import ConversationClosed, ConversationErased, ModelReplied, TurnRead, UserSpoke
from core.events.deletion import MemoryDeleted, MemoryPurged
from core.events.facts import EditComputed, EditKind, FactAdded, FactInjected, WorkFailed
from core.events.history import (
    AdaptersCompacted,
    CheckpointMarked,
    FactErased,
    FactRetracted,
    FactRetried,
    FactsRepeated,
    FactSuperseded,
    FactWithdrawn,
    MemoryForked,
    MemoryRebased,
)
from core.events.memory import MemoryCreated, StatisticsPrepared
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
from core.ids import AdapterId, EventId, FactId, MemoryId, SleepId
from core.state.sleep import Occasion
from service.app.event_summaries import summary
from store.log.event_log import EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An event in the lineage of a fact.

    Attributes:
        caused_by: the links that caused it.
        concerns: whether it is about the fact; false for an event that is only a cause.
        decisive: whether it decided the present status of the fact, or led to that decision.
    """

    recorded: Recorded
    caused_by: tuple[EventId, ...]
    concerns: bool
    summary: str
    decisive: bool


@dataclass(slots=True)
class _Past:
    """The events so far that later events have as their causes.

    Attributes:
        versions: of every event.
        origins: events by what they made: edits, adapters, sleeps and facts by id, statistics by artifact.
        audits: audits of the fact, by version.
        audited: the last audit of the fact.
        decided: the last decision about its stage.
        rescaled: the last event that changed scales.
        retracted: the event that retracted or superseded it.
        withdrawn: the event that took it out of the weights.
        turned: the last event that decided its status.
        trained: the last training of each sleep.
        sleeps: those in which the fact was probed.
        adapters: those trained on the fact, or compacted from such.
    """

    versions: dict[EventId, int] = field(default_factory=dict)
    origins: dict[str, EventId] = field(default_factory=dict)
    audits: dict[int, EventId] = field(default_factory=dict)
    audited: EventId | None = None
    decided: EventId | None = None
    rescaled: EventId | None = None
    retracted: EventId | None = None
    withdrawn: EventId | None = None
    turned: EventId | None = None
    trained: dict[SleepId, EventId] = field(default_factory=dict)
    sleeps: set[SleepId] = field(default_factory=set)
    adapters: set[AdapterId] = field(default_factory=set)


def lineage(log: EventLog, memory: MemoryId, fact: FactId, version: int) -> list[Link]:
    """Returns the links of `fact` up to `version`, oldest first. Blocking; reads the events of the memory once."""
    past = _Past()
    about: dict[EventId, tuple[Recorded, tuple[EventId, ...]]] = {}
    for recorded in log.iterate(memory, until_version=version):
        if _concerns(recorded.event, fact, past):
            named = (recorded.cause.causation, *_implied(recorded.event, fact, past))
            causes = dict.fromkeys(EventId(cause) for cause in named if cause in past.versions)
            about[recorded.id] = recorded, tuple(causes)
        _remember(recorded, fact, past)
    wanted = {cause for _, causes in about.values() for cause in causes} - about.keys()
    only_causes = [log.read(memory=memory, after_version=past.versions[cause] - 1, limit=1)[0] for cause in wanted]
    links = [*about.values(), *((recorded, ()) for recorded in only_causes)]
    decisive = _led_to(past.turned, {event: causes for event, (_, causes) in about.items()})
    return [
        Link(
            recorded=recorded,
            caused_by=causes,
            concerns=recorded.id in about,
            summary=summary(recorded.event, fact),
            decisive=recorded.id in decisive,
        )
        for recorded, causes in sorted(links, key=lambda link: link[0].version)
    ]


def _led_to(event: EventId | None, causes: Mapping[EventId, tuple[EventId, ...]]) -> set[EventId]:
    """Returns `event`, its causes, the causes of these, and so on."""
    reached: set[EventId] = set()
    ahead = [event] if event else []
    while ahead:
        if (cause := ahead.pop()) not in reached:
            reached.add(cause)
            ahead += causes.get(cause, ())
    return reached


def _concerns(event: Event, fact: FactId, past: _Past) -> bool:
    """Returns whether `event` is about `fact`."""
    match event:
        case (
            FactAdded()
            | FactInjected()
            | FactAudited()
            | FactRefreshed()
            | FactAdvanced()
            | FactRetreated()
            | FactDissolved()
            | FactRetracted()
            | FactRetried()
            | FactWithdrawn()
            | FactErased()
        ):
            return event.fact == fact
        case FactSuperseded():
            return fact in (event.fact, event.by)
        case EditComputed():
            return any(columns.fact == fact for columns in event.columns)
        case AdapterTrained():
            return fact in event.facts or fact in event.rehearsed
        case FactsRescaled():
            return any(new.fact == fact for new in event.scales)
        case WorkFailed() | FactsRepeated():
            return fact in event.facts
        case TurnRead():
            return fact in (*event.facts, *event.known, *event.superseded, *event.retracted)
        case SleepCompleted() | SleepRolledBack():
            return event.sleep in past.sleeps
        case AdaptersCompacted():
            return not past.adapters.isdisjoint(event.replaced)
        case (
            MemoryCreated()
            | StatisticsPrepared()
            | SleepStarted()
            | ControlsMeasured()
            | CheckpointMarked()
            | MemoryForked()
            | MemoryRebased()
            | MemoryDeleted()
            | MemoryPurged()
            | UserSpoke()
            | ModelReplied()
            | ConversationClosed()
            | ConversationErased()
        ):
            return False
        case _:
            assert_never(event)


def _decides(event: Event, fact: FactId, past: _Past) -> bool:
    """Returns whether `event` decides the status, stage and scale of `fact`."""
    match event:
        case (
            FactAdded()
            | FactInjected()
            | FactRefreshed()
            | FactAdvanced()
            | FactRetreated()
            | FactDissolved()
            | FactSuperseded()
            | FactRetried()
            | FactWithdrawn()
        ):
            return event.fact == fact
        case FactRetracted():
            return event.fact == fact and past.retracted is None  # a later retraction only erases it
        case WorkFailed():
            return event.parked and fact in event.facts
        case SleepRolledBack(sleep=sleep):
            began = past.origins.get(sleep)
            return began is not None and past.turned is not None and past.versions[past.turned] > past.versions[began]
        case _:
            return False


def _remember(recorded: Recorded, fact: FactId, past: _Past) -> None:
    past.versions[recorded.id] = recorded.version
    if _decides(recorded.event, fact, past):
        past.turned = recorded.id
    match recorded.event:
        case StatisticsPrepared(artifact=named) | EditComputed(edit=named) | SleepStarted(sleep=named):
            past.origins[named] = recorded.id
        case FactAdded(fact=added):
            past.origins[added] = recorded.id
        case FactSuperseded(fact=left) | FactRetracted(fact=left) if left == fact:
            past.retracted = recorded.id
        case FactWithdrawn(fact=left) if left == fact:
            past.withdrawn = recorded.id
        case FactAudited(fact=audited, sleep=sleep) if audited == fact:
            past.audits[recorded.version] = past.audited = recorded.id
            past.sleeps.add(sleep)
        case AdapterTrained() as event:
            past.trained[event.sleep] = past.origins[event.adapter] = recorded.id
            if fact in event.facts or fact in event.rehearsed:
                past.adapters.add(event.adapter)
        case AdaptersCompacted() as event:
            past.origins[event.adapter] = recorded.id
            if not past.adapters.isdisjoint(event.replaced):
                past.adapters.add(event.adapter)
        case FactsRescaled():
            past.rescaled = recorded.id
        case FactAdvanced(fact=moved) | FactRetreated(fact=moved) if moved == fact:
            past.decided = recorded.id
        case _:
            pass


def _implied(event: Event, fact: FactId, past: _Past) -> tuple[str | None, ...]:
    """Returns the causes that the values of the event imply."""
    origin = past.origins.get
    match event:
        case FactInjected(edit=edit) | FactRefreshed(edit=edit):
            return (origin(edit),)
        case EditComputed(statistics=statistics):
            why = {EditKind.INJECTION: origin(fact), EditKind.WITHDRAWAL: past.retracted}.get(event.kind, past.audited)
            return why, origin(statistics)
        case FactSuperseded(fact=old, by=new):
            return origin(old), origin(new)
        case FactRetracted():
            return (origin(fact),)
        case FactWithdrawn(edit=edit, adapters=adapters):
            return past.retracted, origin(edit or ""), *(origin(adapter) for adapter in adapters)
        case AdaptersCompacted(replaced=replaced):
            return tuple(origin(adapter) for adapter in replaced if adapter in past.adapters)
        case FactErased():
            return past.retracted, past.withdrawn
        case WorkFailed() | FactRetried():
            return (origin(fact),)
        case FactAudited(sleep=sleep, occasion=occasion):
            return origin(sleep), past.trained.get(sleep) if occasion == Occasion.GATE else None
        case AdapterTrained(sleep=sleep):
            return (origin(sleep),)
        case FactsRescaled():
            return (past.audited,)
        case FactAdvanced(audit=audit) | FactRetreated(audit=audit):
            return past.audits.get(audit), past.rescaled
        case FactDissolved():
            return (past.decided,)
        case SleepCompleted(sleep=sleep) | SleepRolledBack(sleep=sleep):
            return (origin(sleep),)
        case _:
            return ()
