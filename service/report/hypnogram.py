"""Draws the hypnogram: the stage of every fact over versions, as a sleep laboratory draws the stages of a night.

Each stage is a band, the deepest at the bottom. In every band each fact has a lane of its own, in the order added, so
that three hundred facts in one band are a block whose parts stay apart, and a few are lines. The line of a retracted
fact ends where the fact left the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from core.ids import FactId
from core.wordings import in_words
from service.report.svg import Frame, escaped, frames, line, nights, number, short, svg, text, titled, version_axis
from service.report.timeline import DISSOLVED, PARKED, PENDING, STAGE, WITHDRAWN, Timeline

TOP = 30.0
SHADES = 6  # CSS variables --p0 to --p5, from the first stage to the deepest
_MEANINGS = {PENDING: "not yet written", DISSOLVED: "adapters alone", PARKED: "not writable"}


def hypnogram(timeline: Timeline, chosen: FactId | None) -> str:
    """Returns the figure in both forms, with `chosen` highlighted."""
    return "".join(_drawn(timeline, chosen, form, frame) for form, frame in frames(timeline.first, timeline.last))


def _drawn(timeline: Timeline, chosen: FactId | None, form: str, frame: Frame) -> str:
    bands = _bands(timeline)
    bottom = max([TOP, *(end for _, end in bands.values())])
    parts = [_shades(bands, form, bottom), nights(frame, timeline.sleeps, TOP, bottom, names=True)]
    parts += [_band(timeline, frame, level, *place) for level, place in bands.items()]
    lanes = {fact: (index + 0.5) / len(timeline.levels) for index, fact in enumerate(timeline.levels)}
    order = sorted(timeline.levels, key=lambda fact: fact == chosen)
    parts += [_fact(timeline, frame, bands, lanes[fact], fact, form, fact == chosen) for fact in order]
    parts += [_degraded(timeline, frame, bands, lanes[fact], version, fact) for version, fact in timeline.degraded]
    parts += [version_axis(frame, bottom), *_checkpoints(timeline, frame, bottom)]
    return svg(form, frame.width, bottom + 40, "Hypnogram: the stage of every fact over versions", parts)


def _bands(timeline: Timeline) -> dict[str, tuple[float, float]]:
    """Returns top and bottom of each level's band, top down; a band is higher if it held more facts at once."""
    used = {level for known in timeline.levels.values() for _, level in known} - {WITHDRAWN}
    numbers = [int(level.removeprefix(STAGE)) for level in used if level.startswith(STAGE)]
    stages = max([len(timeline.scales) - 1, *(number + 1 for number in numbers)])
    levels = [PENDING, *(f"{STAGE}{stage}" for stage in range(stages)), DISSOLVED]
    levels += sorted(used - set(levels))
    crowds = _crowds(timeline)
    bands: dict[str, tuple[float, float]] = {}
    y = TOP
    for level in levels:
        facts = crowds.get(level, 0)
        height = min(36 + 4.6 * math.sqrt(facts), 112) if facts else 30
        bands[level] = (y, y + height)
        y += height
    return bands


def _crowds(timeline: Timeline) -> dict[str, int]:
    """Returns the largest number of facts that were in each level at once."""
    moves = [
        (since, index, level, known) for known in timeline.levels.values() for index, (since, level) in enumerate(known)
    ]
    most: dict[str, int] = {}
    now: dict[str, int] = {}
    for _, index, level, known in sorted(moves, key=lambda move: move[0]):
        now[level] = now.get(level, 0) + 1
        if index:
            now[known[index - 1][1]] -= 1
        most[level] = max(most.get(level, 0), now[level])
    return most


def _shade(level: str, stages: int) -> str:
    """Returns the CSS variable of a level's colour."""
    if level.startswith(STAGE):
        stage = int(level.removeprefix(STAGE))
        return f"--p{round((SHADES - 2) * stage / max(stages - 1, 1))}"
    return {DISSOLVED: f"--p{SHADES - 1}", PENDING: "--faint"}.get(level, "--warn")


def _shades(bands: dict[str, tuple[float, float]], form: str, bottom: float) -> str:
    """Returns a gradient with hard stops, so that a line has the colour of the band that it runs through."""
    stages = sum(level.startswith(STAGE) for level in bands)
    stops = "".join(
        f'<stop offset="{(y - TOP) / (bottom - TOP):.4f}" stop-color="var({_shade(level, stages)})"/>'
        for level, place in bands.items()
        for y in place
    )
    return (
        f'<defs><linearGradient id="depth-{form}" gradientUnits="userSpaceOnUse" x1="0" y1="{number(TOP)}" x2="0" '
        f'y2="{number(bottom)}">{stops}</linearGradient></defs>'
    )


def _band(timeline: Timeline, frame: Frame, level: str, top: float, end: float) -> str:
    """Returns the band's name and meaning at the left, and the number of facts in it now at the right."""
    middle = (top + end) / 2
    meaning = _MEANINGS.get(level, "")
    if level.startswith(STAGE):
        stage = int(level.removeprefix(STAGE))
        meaning = f"scale {timeline.scales[stage]:g}" if stage < len(timeline.scales) else ""
    now = sum(known[-1][1] == level for known in timeline.levels.values())
    x = frame.left - 12
    return (
        line(frame.left, end, frame.end, end)
        + text(x, middle - 1 if meaning else middle + 4, short(level, 14), "name", "end")
        + text(x, middle + 13, meaning, "tick", "end")
        + text(frame.end + 10, middle + 4, now or "", "count")
    )


def _fact(
    timeline: Timeline,
    frame: Frame,
    bands: dict[str, tuple[float, float]],
    lane: float,
    fact: FactId,
    form: str,
    chosen: bool,
) -> str:
    """Returns a fact's line, strong along bands and faint between them."""
    along, between, left = "", "", ""
    known = timeline.levels[fact]
    for index, (since, level) in enumerate(known):
        if level == WITHDRAWN:
            continue
        until = known[index + 1][0] if index + 1 < len(known) else timeline.last + 1
        x, end, y = frame.x(since), frame.x(until), _lane(bands, level, lane)
        along += f"M{number(x)} {number(y)}H{number(max(end, x + 0.8))}"
        if index + 1 < len(known):
            after = known[index + 1][1]
            if after == WITHDRAWN:
                left += f"M{number(end)} {number(y - 3)}v6"
            else:
                between += f"M{number(end)} {number(y)}V{number(_lane(bands, after, lane))}"
    stroke = "" if chosen else f' stroke="url(#depth-{form})"'
    drawn = f'<path class="between" d="{between}"{stroke}/>' if between else ""
    words = said(timeline, fact) + ": " + ", ".join(f"{level} at {since}" for since, level in known)
    width = min(max(150 / len(timeline.levels), 1.1), 2.2)
    if chosen:
        drawn += f'<path class="halo" d="{along}"/>'
    drawn += f'<path class="left" d="{left}"{stroke}/>' if left else ""
    drawn += f'<path class="along" stroke-width="{width + 1.2 if chosen else width:.1f}" d="{along}"{stroke}/>'
    return titled(words, drawn, "fact chosen" if chosen else "fact")


def _checkpoints(timeline: Timeline, frame: Frame, bottom: float) -> Iterator[str]:
    """Yields a dotted line for each checkpoint, and its name below the axis where that fits."""
    free = 0.0
    for mark in sorted(timeline.state.checkpoints.values(), key=lambda mark: mark.version):
        if not timeline.first <= mark.version <= timeline.last:
            continue
        x, half = (
            frame.x(mark.version + 1),
            3.3 * len(mark.name),
        )  # at the end of the version, because a checkpoint is the state after its event
        drawn = line(x, TOP, x, bottom, "checkpoint")
        yield titled(f"checkpoint {mark.name}, version {mark.version}", drawn)
        if free <= x - half and x + half < frame.end - 48:
            free = x + half + 8
            yield text(x, bottom + 33, mark.name, "checkpoint-name", "middle")


def said(timeline: Timeline, fact: FactId) -> str:
    """Returns a fact in its own words, or that it is erased."""
    return in_words(timeline.facts[fact].fact) or "an erased fact"


def _lane(bands: dict[str, tuple[float, float]], level: str, lane: float) -> float:
    top, end = bands[level]
    return top + 6 + lane * (end - top - 12)


def _degraded(
    timeline: Timeline, frame: Frame, bands: dict[str, tuple[float, float]], lane: float, version: int, fact: FactId
) -> str:
    x, y = frame.x(version), _lane(bands, timeline.level_at(fact, version), lane)
    arm = 2.5 if len(timeline.levels) <= 60 else 1.8
    side = number(2 * arm)
    cross = f"M{number(x - arm)} {number(y - arm)}l{side} {side}m0 -{side}l-{side} {side}"
    words = f"{said(timeline, fact)}: an audit found it degraded at version {version}"
    return f'<path class="cross" d="{cross}"><title>{escaped(words)}</title></path>'
