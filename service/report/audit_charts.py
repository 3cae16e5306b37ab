"""Draws the results of audits and the use of capacity as tracks over versions, one above the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.report.svg import Frame, frames, line, nice, nights, number, steps, svg, text, titled, version_axis
from service.report.timeline import Audit, Counts, Timeline

TOP = 10.0
HEIGHT, GAP = 54.0, 24.0  # of a track, and after it


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps the values `low` to `high` to the heights `bottom` to `top`, in pixels."""

    low: float
    high: float
    top: float

    @property
    def bottom(self) -> float:
        return self.top + HEIGHT

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - min(max(share, 0.0), 1.0) * HEIGHT


def audits(timeline: Timeline) -> str:
    """Returns the figure of recall, unanswered, neighbours, strangers and perplexity in both forms."""
    drawn: list[tuple[str, str, list[tuple[Audit, float | None]]]] = [
        ("recall", "healthy facts", [(audit, audit.recall) for audit in timeline.audits]),
        ("unanswered", "kept unknown", [(audit, audit.unanswered) for audit in timeline.audits]),
        ("neighbours", "unchanged", [(audit, audit.neighbours) for audit in timeline.audits]),
        ("strangers", "unchanged", [(audit, audit.strangers) for audit in timeline.audits]),
    ]

    least = min((value for _, _, values in drawn for _, value in values if value is not None), default=1.0)
    low = next(low for low in (0.9, 0.5, 0.0) if least >= low)  # of all shares, so that equal falls are equally steep

    def draw(frame: Frame) -> tuple[float, list[str]]:
        parts: list[str] = []
        top = TOP
        ticks = [(low, f"{low:.0%}"), (1.0, "100%")]
        for name, meaning, values in drawn:
            parts += _track(frame, timeline, _Scale(low, 1.0, top), name, meaning, values, _percent, ticks)
            top += HEIGHT + GAP
        parts += _perplexity(frame, timeline, top)
        return top + HEIGHT, parts

    return _both(timeline, "Recall, unanswered questions, neighbours, strangers and perplexity over versions", draw)


def capacity(timeline: Timeline) -> str:
    """Returns the figure of key occupancy and of what carries the facts in both forms."""

    def draw(frame: Frame) -> tuple[float, list[str]]:
        parts = [*_occupancy(frame, timeline, TOP), *_carried(frame, timeline, TOP + HEIGHT + GAP)]
        return TOP + 2 * HEIGHT + GAP, parts

    return _both(timeline, "Key occupancy, and what carries the facts, over versions", draw)


def _both(timeline: Timeline, label: str, draw: Callable[[Frame], tuple[float, list[str]]]) -> str:
    made: list[str] = []
    for form, frame in frames(timeline.first, timeline.last):
        bottom, parts = draw(frame)
        shaded = nights(frame, timeline.sleeps, TOP, bottom)
        made.append(svg(form, frame.width, bottom + 40, label, [shaded, *parts, version_axis(frame, bottom)]))
    return "".join(made)


def _percent(value: float) -> str:
    return f"{value:.0%}" if value in (0.0, 1.0) else f"{value:.1%}"


def _frame(frame: Frame, scale: _Scale, name: str, meaning: str, ticks: Sequence[tuple[float, str]]) -> list[str]:
    """Returns a track's name at the left, its grid lines and their numbers."""
    middle = scale.top + HEIGHT / 2
    parts = [text(0, middle - 1, name, "name"), text(0, middle + 13, meaning, "tick")]
    for value, words in ticks:
        y = scale.y(value)
        parts += [line(frame.left, y, frame.end, y), text(frame.left - 8, y + 4, words, "tick", "end")]
    return parts


def _track(
    frame: Frame,
    timeline: Timeline,
    scale: _Scale,
    name: str,
    meaning: str,
    values: Sequence[tuple[Audit, float | None]],
    words: Callable[[float], str],
    ticks: Sequence[tuple[float, str]],
) -> list[str]:
    """Returns joined marks at audits: hollow before a sleep changed anything, filled after it."""
    parts = _frame(frame, scale, name, meaning, ticks)
    known = [(audit, value) for audit, value in values if value is not None and math.isfinite(value)]
    points = [(frame.x(audit.version), scale.y(value)) for audit, value in known]
    if points:
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        parts.append(f'<path class="curve" d="{path}"/>')
        parts.append(text(frame.end + 10, points[-1][1] + 4, words(known[-1][1]), "count"))
    for (audit, value), (x, y) in zip(known, points, strict=True):
        kind = "mark rested" if audit.rested else "mark"
        shown = f"{name} {words(value)} at version {audit.version}"
        if name == "recall":
            shown += f": {audit.healthy} of {audit.asked} facts healthy"
        parts.append(titled(shown, f'<circle cx="{number(x)}" cy="{number(y)}" r="3.2"/>', kind))
    return parts


def _perplexity(frame: Frame, timeline: Timeline, top: float) -> list[str]:
    values = [(audit, audit.perplexity) for audit in timeline.audits]
    measured = [value for audit in timeline.audits for value in (audit.perplexity, audit.base_perplexity)]
    finite = [value for value in measured if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    room = max((high - low) * 0.25, abs(high) * 0.01, 1e-6)
    scale = _Scale(low - room, high + room, top)
    ticks = [(tick, f"{tick:g}") for tick in nice(scale.low, scale.high, 3)] if finite else []
    parts = _track(frame, timeline, scale, "perplexity", "held-out text", values, lambda value: f"{value:.2f}", ticks)
    if timeline.audits and math.isfinite(base := timeline.audits[-1].base_perplexity):
        y = scale.y(base)
        parts.append(titled(f"base model: {base:.3f}", line(frame.left, y, frame.end, y, "limit")))
    return parts


def _occupancy(frame: Frame, timeline: Timeline, top: float) -> list[str]:
    limit = timeline.state.created.capacity if timeline.state.created else 0.0
    most = max((value for _, value in timeline.key_occupancy), default=0.0)
    shown = limit <= 4 * most
    high = max(most, limit if shown else 0.0) * 1.15 or 1.0
    scale = _Scale(0.0, high, top)
    parts = _frame(
        frame,
        scale,
        "occupancy",
        "of key space",
        [(tick, _share(tick) if tick else "0") for tick in nice(0.0, high, 3)],
    )
    parts += _area(frame, scale, timeline.key_occupancy, "occupied")
    if timeline.key_occupancy:
        now = timeline.key_occupancy[-1][1]
        parts.append(text(frame.end + 10, scale.y(now) + 4, _share(now), "count"))
    if shown and limit:
        y = scale.y(limit)
        parts.append(titled(f"limit {_share(limit)}", line(frame.left, y, frame.end, y, "limit")))
    return parts


def _share(value: float) -> str:
    return f"{value:.2%}" if value < 0.01 else f"{value:.1%}" if value < 1 else f"{value:,.0%}"


def _carried(frame: Frame, timeline: Timeline, top: float) -> list[str]:
    def all_of(counts: Counts) -> int:
        return counts.edits + counts.dissolved + counts.waiting

    high = max([1, *(all_of(counts) for _, counts in timeline.counts)])
    scale = _Scale(0, high, top)
    parts = _frame(frame, scale, "facts", "by what carries", [(0, "0"), (high, str(high))])
    for kind, height in (
        ("waiting", all_of),
        ("edits", lambda counts: counts.edits + counts.dissolved),
        ("dissolved", lambda counts: counts.dissolved),
    ):
        parts += _area(frame, scale, [(version, height(counts)) for version, counts in timeline.counts], kind)
    if timeline.counts:
        counts = timeline.counts[-1][1]
        parts.append(text(frame.end + 10, scale.y(all_of(counts)) + 4, all_of(counts), "count"))
    return parts


def _area(frame: Frame, scale: _Scale, values: Sequence[tuple[int, float]], kind: str) -> list[str]:
    """Returns a step curve, each value holding until the next, filled down to zero."""
    if not values:
        return []
    path = steps(frame, [(version, scale.y(value)) for version, value in values])
    down = f"V{number(scale.bottom)}H{number(frame.x(values[0][0]))}Z"
    return [f'<path class="area {kind}" d="{path}{down}"/>', f'<path class="edge {kind}" d="{path}"/>']
