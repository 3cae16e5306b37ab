"""Folds a memory's events once into what the report draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.events import Recorded
from core.events.sleep import ControlsMeasured, FactAudited
from core.evolve import evolve
from core.ids import FactId
from core.state.memory import NOTHING, FactState, Memory, Status
from core.state.sleep import Occasion

PENDING, DISSOLVED, PARKED, WITHDRAWN = "pending", "dissolved", "parked", "withdrawn"
STAGE = "stage "  # and its number


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Results of one audit; shares are from 0 to 1.

    Attributes:
        version: of its last event.
        rested: whether the sleep had changed scales before it.
        healthy, asked: numbers of facts found healthy, and probed.
    """

    version: int
    rested: bool
    healthy: int
    asked: int
    unanswered: float
    neighbours: float
    strangers: float
    perplexity: float
    base_perplexity: float

    @property
    def recall(self) -> float | None:
        return self.healthy / self.asked if self.asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepSpan:
    """A sleep or a nap, with the versions of its first and last event; `ended` is None while it is in progress."""

    kind: str
    began: int
    ended: int | None
    completed: bool
    reason: str

    @property
    def undone(self) -> bool:
        return self.ended is not None and not self.completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of facts that edits carry, that adapters alone carry, that wait to be written, and that are withdrawn."""

    edits: int
    dissolved: int
    waiting: int
    withdrawn: int = 0


@dataclass(slots=True)
class Timeline:
    """The history of a memory over versions, oldest first; a value holds until the version of the next one.

    Attributes:
        state: the memory at the end.
        facts: last state of each fact, because the state of a deleted memory has no facts.
        first, last: versions of the first and the last event.
        began, ended: times of the first and the last event.
        levels: for each fact, its levels with their first versions: `pending`, `stage 0`, ..., `dissolved`, `parked`
            and `withdrawn` once it has left the weights.
        degraded: version and fact of every verdict that found a fact degraded.
    """

    memory: str = ""
    state: Memory = NOTHING
    facts: dict[FactId, FactState] = field(default_factory=dict)
    first: int = 1
    last: int = 1
    began: str = ""
    ended: str = ""
    scales: tuple[float, ...] = ()
    levels: dict[FactId, list[tuple[int, str]]] = field(default_factory=dict)
    degraded: list[tuple[int, FactId]] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    key_occupancy: list[tuple[int, float]] = field(default_factory=list)
    counts: list[tuple[int, Counts]] = field(default_factory=list)
    sleeps: list[SleepSpan] = field(default_factory=list)

    def level_at(self, fact: FactId, version: int) -> str:
        """Returns the level of `fact` at `version`."""
        return next((level for since, level in reversed(self.levels[fact]) if since <= version), PENDING)


def fold_timeline(events: Iterable[Recorded]) -> Timeline:
    """Folds all events of one memory up to a version."""
    timeline = Timeline()
    for recorded in events:
        before, timeline.state = timeline.state, evolve(timeline.state, recorded.event)
        if before is NOTHING:
            timeline.first, timeline.began = recorded.version, recorded.recorded_at
        timeline.memory, timeline.last, timeline.ended = recorded.memory, recorded.version, recorded.recorded_at
        _take_in(timeline, recorded, before)
    timeline.sleeps = [
        SleepSpan(kind=night.kind, began=night.began, ended=night.ended, completed=night.completed, reason=night.reason)
        for night in timeline.state.nights.values()
    ]
    if (asleep := timeline.state.sleep) is not None:
        timeline.sleeps.append(
            SleepSpan(kind=asleep.started.kind, began=asleep.began, ended=None, completed=False, reason="")
        )
    return timeline


def _take_in(timeline: Timeline, recorded: Recorded, before: Memory) -> None:
    state, event, version = timeline.state, recorded.event, recorded.version
    if state.sleep is not None:
        timeline.scales = state.sleep.policy.scales
    elif state.created is not None and not timeline.scales:
        timeline.scales = state.created.sleep.scales
    if state.key_occupancy != before.key_occupancy or not timeline.key_occupancy:
        timeline.key_occupancy.append((version, state.key_occupancy))
    if (
        isinstance(event, FactAudited)
        and event.occasion != Occasion.GATE
        and not event.healthy
        and state.facts[event.fact].in_weights  # the line of a withdrawn fact has ended
    ):
        timeline.degraded.append((version, event.fact))
    if isinstance(event, ControlsMeasured) and state.sleep is not None:
        timeline.audits.append(_audit(event, version, state))
    moved = False
    for fact, now in state.facts.items():
        if now is not before.facts.get(fact):
            timeline.facts[fact] = now
            known = timeline.levels.setdefault(fact, [])
            level = _level(now, len(timeline.scales) - 1)
            if not known or known[-1][1] != level:
                known.append((version, level))
                moved = True
    if moved:
        timeline.counts.append((version, _counts(timeline)))


def _audit(event: ControlsMeasured, version: int, state: Memory) -> Audit:
    verdicts = state.sleep.verdicts.values() if state.sleep else ()
    return Audit(
        version=version,
        rested=event.occasion == Occasion.AFTER,
        healthy=sum(verdict.healthy for verdict in verdicts),
        asked=len(verdicts),
        unanswered=event.unanswered,
        neighbours=event.neighbours,
        strangers=event.strangers,
        perplexity=event.perplexity,
        base_perplexity=event.base_perplexity,
    )


def _level(state: FactState, dissolved: int) -> str:
    match state.status:
        case Status.PENDING:
            return PENDING
        case Status.INJECTED:  # at the last stage it is dissolved by the next event
            return f"{STAGE}{state.stage}" if state.stage < dissolved or not state.stage else DISSOLVED
        case status:
            return str(status)


def _counts(timeline: Timeline) -> Counts:
    now = [known[-1][1] for known in timeline.levels.values()]
    edits, dissolved = sum(level.startswith(STAGE) for level in now), now.count(DISSOLVED)
    return Counts(
        edits=edits,
        dissolved=dissolved,
        waiting=sum(level in (PENDING, PARKED) for level in now),
        withdrawn=now.count(WITHDRAWN),
    )
