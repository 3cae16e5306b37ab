"""Draws one fact's lineage: one event in each row, oldest first, and beside them the graph of causes."""

from __future__ import annotations

from collections.abc import Sequence

from core.events import Event
from core.events.facts import EditComputed, FactInjected, WorkFailed
from core.events.history import AdaptersCompacted, FactErased, FactRetracted, FactWithdrawn
from core.events.memory import StatisticsPrepared
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
from core.ids import EventId
from service.app.lineage import Link
from service.report.svg import escaped, number, svg
from service.report.timeline import Timeline

ROW = 40  # pixels, as in the page's CSS
FIRST, LAST = 14, 40  # rows shown of a long lineage
LANES = ("client", "edit", "sleep", "audit", "adapter", "stage")
STEP, LEFT = 17.0, 12.0  # pixels between lanes, and before the first
GRAPH = LEFT + STEP * len(LANES)
LANES_CSS = "".join(
    f".life .lanes i:nth-child({index + 1}) {{ left: {LEFT + STEP * index:g}px; }}\n" for index in range(len(LANES))
)


def life(timeline: Timeline, links: Sequence[Link]) -> str:
    """Returns the graph and its rows; of a long lineage only the beginning and the end."""
    left_out = len(links) - FIRST - LAST
    shown: list[Link | None] = list(links)
    if left_out > 1:
        shown = [*links[:FIRST], None, *links[-LAST:]]
    rows = [_row(timeline, link) if link else f'<li class="gap">{left_out} events between them</li>' for link in shown]
    names = "".join(f"<i>{lane}</i>" for lane in LANES)
    graph = svg("graph", GRAPH, ROW * len(shown), "What led to what", _graph(shown))
    return f'<div class="life"><div class="lanes">{names}</div>{graph}<ol>{"".join(rows)}</ol></div>'


def lane(event: Event) -> str:
    match event:
        case EditComputed() | StatisticsPrepared() | WorkFailed():
            return "edit"
        case AdaptersCompacted():
            return "adapter"
        case FactAudited() | ControlsMeasured():
            return "audit"
        case AdapterTrained() | FactsRescaled():
            return "adapter"
        case FactInjected() | FactRefreshed() | FactAdvanced() | FactRetreated() | FactDissolved() | FactWithdrawn():
            return "stage"
        case SleepStarted() | SleepCompleted() | SleepRolledBack():
            return "sleep"
        case _:
            return "client"


def _x(name: str) -> float:
    return LEFT + STEP * LANES.index(name)


def _graph(shown: Sequence[Link | None]) -> list[str]:
    places: dict[EventId, tuple[float, float]] = {}
    for index, link in enumerate(shown):
        if link:
            places[link.recorded.id] = _x(lane(link.recorded.event)), (index + 0.5) * ROW
    edges = [
        _edge(*places[cause], *places[link.recorded.id])
        for link in shown
        if link
        for cause in link.caused_by
        if cause in places
    ]
    dots = [_dot(link, *places[link.recorded.id]) for link in shown if link]
    return [*edges, *dots]


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    """Returns a line down the cause's lane, then over to the effect."""
    if x1 == x2:
        bow = min((y2 - y1) / ROW - 1, 3) * 2.5
        bend = f"Q{number(x1 - bow)} {number((y1 + y2) / 2)} {number(x2)} {number(y2)}"
        return f'<path class="edge-of" d="M{number(x1)} {number(y1)}{bend}"/>'
    turn = max(y1, y2 - 0.8 * ROW)
    return (
        f'<path class="edge-of" d="M{number(x1)} {number(y1)}V{number(turn)}'
        f'C{number(x1)} {number(y2 - 4)} {number(x2)} {number(turn + 4)} {number(x2)} {number(y2)}"/>'
    )


def _dot(link: Link, x: float, y: float) -> str:
    event = link.recorded.event
    bad = isinstance(event, (WorkFailed, SleepRolledBack, FactRetreated, FactRetracted, FactErased))
    bad = bad or (isinstance(event, FactAudited) and not event.healthy)
    kind = " ".join(["dot", lane(event), *(["bad"] if bad else []), *([] if link.concerns else ["aside"])])
    title = f"<title>{escaped(link.summary)}</title>"
    if lane(event) == "stage":
        return f'<rect class="{kind}" x="{number(x - 4.5)}" y="{number(y - 4.5)}" width="9" height="9">{title}</rect>'
    return f'<circle class="{kind}" cx="{number(x)}" cy="{number(y)}" r="5">{title}</circle>'


def _row(timeline: Timeline, link: Link) -> str:
    version = link.recorded.version
    sleep = next((span for span in timeline.sleeps if span.began <= version <= (span.ended or timeline.last)), None)
    kind = " ".join([("sleep" if sleep.kind == "sleep" else "nap") if sleep else "", "" if link.concerns else "aside"])
    at = link.recorded.recorded_at
    return (
        f'<li class="{kind.strip()}"><b>{version}</b><span dir="auto" title="{escaped(link.summary)}">'
        f"{escaped(link.summary)}</span><time>{escaped(at[:10])}<br>{escaped(at[11:19])}</time></li>"
    )
