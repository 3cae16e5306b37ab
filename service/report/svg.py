"""Shared parts of figures: frames, the axis of versions, marks, and escaped text."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.report.timeline import SleepSpan

_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
)  # characters that HTML does not allow


def escaped(text: object) -> str:
    """Returns `text` escaped for element content and attributes."""
    return html.escape(_UNFIT.sub("\ufffd", str(text)), quote=True)


def apart(text: object) -> str:
    """Returns a client's text, isolated so that its writing direction does not affect the text around it."""
    return f"<bdi>{escaped(text)}</bdi>"


def short(text: str, most: int) -> str:
    """Returns the beginning of `text`, with an ellipsis where it was cut."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def number(value: float) -> str:
    """Returns a coordinate as text."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing of `width` pixels, whose plot between the margins `left` and `right` shows versions `first` to `last`.

    A version extends to the place of the next one, so that the last version is visible as well.
    """

    width: float
    left: float
    right: float
    first: int
    last: int

    def x(self, version: float) -> float:
        return self.left + (version - self.first) / (self.last + 1 - self.first) * (self.end - self.left)

    @property
    def end(self) -> float:
        return self.width - self.right

    @property
    def narrow(self) -> bool:
        return self.width < 800


def frames(first: int, last: int) -> Iterator[tuple[str, Frame]]:
    """Yields name and frame of the two forms of every figure: for wide pages and for narrow ones."""
    yield "wide", Frame(1080, 132, 76, first, last)
    yield "narrow", Frame(540, 104, 54, first, last)


def svg(form: str, width: float, height: float, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg class="{form}" viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escaped(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: object, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{number(x)}" y="{number(y)}" class="{kind}" text-anchor="{anchor}">{escaped(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> str:
    return f'<path class="{kind}" d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"/>'


def titled(words: str, inside: str, kind: str = "") -> str:
    """Returns `inside` with a tooltip of `words`."""
    return f'<g class="{kind}"><title>{escaped(words)}</title>{inside}</g>'


def steps(frame: Frame, values: Sequence[tuple[int, float]]) -> str:
    """Returns the path of a step curve; `values` are versions and y, each holding until the next."""
    if not values:
        return ""
    path = f"M{number(frame.x(values[0][0]))} {number(values[0][1])}"
    for version, y in values[1:]:
        path += f"H{number(frame.x(version))}V{number(y)}"
    return path + f"H{number(frame.end)}"


def nice(first: float, last: float, most: int) -> list[float]:
    """Returns at most `most` round numbers from `first` to `last`."""
    span = max(last - first, 1e-9)
    rough = span / max(most - 1, 1)
    unit = 10 ** math.floor(math.log10(rough))
    step = next(step * unit for step in (1, 2, 5, 10) if step * unit >= rough)
    start = math.ceil(first / step - 1e-9)
    return [index * step for index in range(start, math.floor(last / step + 1e-9) + 1)]


def version_axis(frame: Frame, y: float) -> str:
    """Returns ticks with their numbers below `y`, and the name of the axis."""
    parts = [line(frame.left, y, frame.end, y, "axis")]
    ticks = nice(frame.first, frame.last, 6 if frame.narrow else 11)
    shown = [version for version in ticks if version == int(version)]
    for version in shown or [float(frame.first)]:
        x = frame.x(version)
        parts.append(line(x, y, x, y + 4, "axis"))
        parts.append(text(x, y + 17, f"{int(version):,}".replace(",", "\u2009"), "tick", "middle"))
    parts.append(text(frame.end, y + 33, "version", "tick", "end"))
    return "".join(parts)


def nights(frame: Frame, spans: Sequence[SleepSpan], top: float, bottom: float, names: bool = False) -> str:
    """Returns sleeps as shades from `top` to `bottom`, naps as lighter ones, rollbacks as lines; their names above."""
    sleeps = 0
    shades: list[str] = []
    named: list[tuple[SleepSpan, str, float]] = []  # span, name and middle
    for span in spans:
        sleeps += span.kind == "sleep"
        name = f"sleep {sleeps}" if span.kind == "sleep" else span.kind
        ended = frame.last if span.ended is None else span.ended
        x = frame.x(span.began)
        end = frame.end if span.ended is None else max(frame.x(ended), x + 1.5)
        became = "in progress" if span.ended is None else "completed" if span.completed else "rolled back"
        words = f"{name}, versions {span.began} to {ended}: {became}"
        if span.reason:
            words += f" ({span.reason})"
        box = f'<rect class="{"sleep" if span.kind == "sleep" else "nap"}" x="{number(x)}" y="{number(top)}" '
        inside = box + f'width="{number(end - x)}" height="{number(bottom - top)}"/>'
        if span.undone:
            inside += line(end, top - 4 if names else top, end, bottom, "undone")
        shades.append(titled(words, inside))
        named.append((span, f"{name} ↶" if span.undone else name, (x + end) / 2))
    return "".join([*shades, *(_names(frame, named, top - 9) if names else ())])


def _names(frame: Frame, named: Sequence[tuple[SleepSpan, str, float]], y: float) -> Iterator[str]:
    """Yields the names that fit: of rollbacks first, then of sleeps, then of naps."""
    taken: list[tuple[float, float]] = []
    for span, name, middle in sorted(named, key=lambda entry: (not entry[0].undone, entry[0].kind != "sleep")):
        half = 3.3 * len(name)
        x = min(max(middle, frame.left + half), frame.width - half)
        if all(x + half < begin or x - half > end for begin, end in taken):
            taken.append((x - half - 5, x + half + 5))
            yield text(x, y, name, "undone-name" if span.undone else "tick", "middle")
