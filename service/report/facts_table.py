"""Lists the facts of a memory: where each stands, what carries it, and what the last audit found."""

from __future__ import annotations

from collections import Counter

from core.ids import FactId
from service.report.hypnogram import said
from service.report.svg import apart, escaped, short
from service.report.timeline import PARKED, WITHDRAWN, Timeline

OPEN = 40  # facts, at most, that are listed before the reader asks for them
LONGEST = 120  # characters of a fact
_HEADS = ("fact", "told at", "now", "edit in the weights", "last audit", "found degraded")


def facts_table(timeline: Timeline, chosen: FactId | None = None) -> str:
    """Returns the facts in the order in which they were added, as HTML; `chosen` is highlighted."""
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    degraded = Counter(fact for _, fact in timeline.degraded)
    rows = "".join(_row(timeline, fact, degraded[fact], fact == chosen) for fact in timeline.levels)
    count = len(timeline.levels)
    shown = " open" if count <= OPEN else ""
    return (
        f"<h2>Facts</h2><details{shown}><summary>{count} {'fact' if count == 1 else 'facts'}</summary>"
        f'<table class="facts"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></details>'
    )


def _row(timeline: Timeline, fact: FactId, degraded: int, is_chosen: bool) -> str:
    state, level = timeline.facts[fact], timeline.levels[fact][-1][1]
    gone = level == WITHDRAWN
    cells = (
        str(state.added),
        f"{level}: {short(state.failure, LONGEST)}" if level == PARKED and state.failure else level,
        "" if gone else f"{state.scale:g}",
        "" if gone else {None: "", True: "healthy", False: "degraded"}[state.healthy],
        f"{degraded} times" if degraded > 1 else "once" if degraded else "",
    )
    chosen = ' class="chosen"' if is_chosen else ""
    words = f'<th scope="row">{apart(short(said(timeline, fact), LONGEST))}</th>'
    return f"<tr{chosen}>{words}{''.join(f'<td>{escaped(cell)}</td>' for cell in cells)}</tr>"
