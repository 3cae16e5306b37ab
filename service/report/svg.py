"""What every figure is drawn with: a place on the page, an axis of versions, marks, and text that stays text."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.report.timeline import SleepSpan

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # what no page may hold


def escaped(text: object) -> str:
    """`text` for element content and attributes, whatever it holds."""
    return html.escape(_UNFIT.sub("\ufffd", str(text)), quote=True)


def apart(text: object) -> str:
    """`text` of a client's, whose direction of writing does not reach what stands around it."""
    return f"<bdi>{escaped(text)}</bdi>"


def short(text: str, most: int) -> str:
    """The beginning of `text`, with an ellipsis where something is left out."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def number(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing `width` pixels wide, its plot between the margins `left` and `right`, over versions `first` to `last`.

    A version reaches from its own place to that of the next one, so that the last one is seen as well.
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
    """The two forms of every figure: one for wide pages, one for narrow ones."""
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
    """`inside` with words that appear when it is pointed at."""
    return f'<g class="{kind}"><title>{escaped(words)}</title>{inside}</g>'


def steps(frame: Frame, values: Sequence[tuple[int, float]]) -> str:
    """The path of a value that holds until the next one; `values` are versions and y."""
    if not values:
        return ""
    path = f"M{number(frame.x(values[0][0]))} {number(values[0][1])}"
    for version, y in values[1:]:
        path += f"H{number(frame.x(version))}V{number(y)}"
    return path + f"H{number(frame.end)}"


def nice(first: float, last: float, most: int) -> list[float]:
    """Round numbers from `first` to `last`, at most `most` of them."""
    span = max(last - first, 1e-9)
    rough = span / max(most - 1, 1)
    unit = 10 ** math.floor(math.log10(rough))
    step = next(step * unit for step in (1, 2, 5, 10) if step * unit >= rough)
    start = math.ceil(first / step - 1e-9)
    return [index * step for index in range(start, math.floor(last / step + 1e-9) + 1)]


def version_axis(frame: Frame, y: float) -> str:
    """Ticks and their numbers below `y`, and what they are."""
    parts = [line(frame.left, y, frame.end, y, "axis")]
    shown = [one for one in nice(frame.first, frame.last, 6 if frame.narrow else 11) if one == int(one)]
    for version in shown or [float(frame.first)]:
        x = frame.x(version)
        parts.append(line(x, y, x, y + 4, "axis"))
        parts.append(text(x, y + 17, f"{int(version):,}".replace(",", "\u2009"), "tick", "middle"))
    parts.append(text(frame.end, y + 33, "version", "tick", "end"))
    return "".join(parts)


def nights(frame: Frame, rests: Sequence[SleepSpan], top: float, bottom: float, names: bool = False) -> str:
    """Sleeps as shades from `top` to `bottom`, naps as lighter ones, rollbacks as lines; their names above."""
    sleeps = 0
    shades: list[str] = []
    named: list[tuple[SleepSpan, str, float]] = []  # and its middle
    for rest in rests:
        sleeps += rest.kind == "sleep"
        name = f"sleep {sleeps}" if rest.kind == "sleep" else rest.kind
        ended = frame.last if rest.ended is None else rest.ended
        x = frame.x(rest.began)
        end = frame.end if rest.ended is None else max(frame.x(ended), x + 1.5)
        became = "in progress" if rest.ended is None else "completed" if rest.completed else "rolled back"
        words = f"{name}, versions {rest.began} to {ended}: {became}" + f" ({rest.reason})" * bool(rest.reason)
        box = f'<rect class="{"sleep" if rest.kind == "sleep" else "nap"}" x="{number(x)}" y="{number(top)}" '
        inside = box + f'width="{number(end - x)}" height="{number(bottom - top)}"/>'
        if rest.undone:
            inside += line(end, top - 4 * names, end, bottom, "undone")
        shades.append(titled(words, inside))
        named.append((rest, name + " ↶" * rest.undone, (x + end) / 2))
    return "".join([*shades, *(_names(frame, named, top - 9) if names else ())])


def _names(frame: Frame, named: Sequence[tuple[SleepSpan, str, float]], y: float) -> Iterator[str]:
    """The names that find room: of what was undone first, then of sleeps, then of naps."""
    taken: list[tuple[float, float]] = []
    for rest, name, middle in sorted(named, key=lambda one: (not one[0].undone, one[0].kind != "sleep")):
        half = 3.3 * len(name)
        x = min(max(middle, frame.left + half), frame.width - half)
        if all(x + half < begin or x - half > end for begin, end in taken):
            taken.append((x - half - 5, x + half + 5))
            yield text(x, y, name, "undone-name" if rest.undone else "tick", "middle")
