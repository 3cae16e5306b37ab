"""The life of one fact: the events about it and what caused them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from core.events import (
    EditComputed,
    Event,
    FactAdded,
    FactInjected,
    MemoryCreated,
    Recorded,
    StatisticsPrepared,
    WorkFailed,
)
from core.ids import EventId, FactId, MemoryId
from store.log import EventLog

PAGE = 1000  # events


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One event in it. `caused_by` names other links; `concerns` is false for what is here only as a cause."""

    recorded: Recorded
    caused_by: tuple[EventId, ...]
    concerns: bool
    summary: str


def lineage(log: EventLog, memory: MemoryId, fact: FactId, version: int) -> list[Link]:
    """The links of `fact` up to `version`, oldest first. Blocking; reads the memory's log once."""
    about: list[Recorded] = []
    versions: dict[EventId, int] = {}
    origins: dict[str, EventId] = {}  # of edits by id, of statistics by artifact, of the fact by its own id
    for recorded in _events(log, memory, version):
        versions[recorded.id] = recorded.version
        match recorded.event:
            case StatisticsPrepared(artifact=artifact):
                origins[artifact] = recorded.id
            case EditComputed(edit=edit):
                origins[edit] = recorded.id
            case FactAdded(fact=told) if told == fact:
                origins[told] = recorded.id
        if concerns(recorded.event, fact):
            about.append(recorded)
    caused_by = {
        recorded.id: tuple(one for one in _causes(recorded, fact, origins) if one in versions) for recorded in about
    }
    wanted = {cause for causes in caused_by.values() for cause in causes} - caused_by.keys()
    others = [log.read(memory=memory, after_version=versions[one] - 1, limit=1)[0] for one in wanted]
    return [
        Link(
            recorded=recorded,
            caused_by=caused_by.get(recorded.id, ()),
            concerns=recorded.id in caused_by,
            summary=summary(recorded.event, fact),
        )
        for recorded in sorted([*about, *others], key=lambda recorded: recorded.version)
    ]


def concerns(event: Event, fact: FactId) -> bool:
    """Whether `event` is about `fact`."""
    match event:
        case FactAdded() | FactInjected():
            return event.fact == fact
        case EditComputed():
            return any(columns.fact == fact for columns in event.columns)
        case WorkFailed():
            return fact in event.facts
        case MemoryCreated() | StatisticsPrepared():
            return False
        case _:
            assert_never(event)


def summary(event: Event, fact: FactId | None = None) -> str:
    """One line for people; of an edit, what it did for `fact`."""
    match event:
        case MemoryCreated():
            return f"memory created on {event.base.name} ({event.base.dtype}), {len(event.modules)} modules edited"
        case StatisticsPrepared():
            return f"statistics prepared over {event.tokens} tokens; clean weights {event.weights[:12]}"
        case FactAdded():
            told = event.statement
            return f"told: {told.subject} {told.relation} {told.object}"
        case EditComputed():
            own = [columns for columns in event.columns if columns.fact == fact]
            share = f", {own[0].count} of its columns, {own[0].absorbed:.0%} absorbed" if own else ""
            return (
                f"edit {event.delta[:12]} for {len(event.columns)} facts in {event.seconds:.1f} s{share}; "
                f"weights {event.weights_before[:12]} -> {event.weights_after[:12]}"
            )
        case FactInjected():
            return f"injected: carried by edit {event.edit}, stage {event.stage}, scale {event.scale:g}"
        case WorkFailed():
            after = "parked" if event.parked else "to be retried"
            return f"{event.work} failed, attempt {event.attempt}, {after}: {event.message}"
        case _:
            assert_never(event)


def _causes(recorded: Recorded, fact: FactId, origins: dict[str, EventId]) -> tuple[EventId, ...]:
    """What the metadata names, and what the event's own values imply."""
    named: list[str | None] = [recorded.cause.causation]
    match recorded.event:
        case FactInjected(edit=edit):
            named.append(origins.get(edit))
        case EditComputed(statistics=statistics):
            named += [origins.get(fact), origins.get(statistics)]
        case WorkFailed():
            named.append(origins.get(fact))
    return tuple(dict.fromkeys(EventId(one) for one in named if one and one != recorded.id))


def _events(log: EventLog, memory: MemoryId, version: int) -> Iterator[Recorded]:
    after = 0
    while after < version:
        page = log.read(memory=memory, after_version=after, limit=min(PAGE, version - after))
        if not page:
            return
        yield from page
        after = page[-1].version
