"""Console blocks of the documentation as sessions: what is typed, and what is shown beneath it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
DIGEST = re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b")
SIZE = re.compile(r"\b(?:\d+\.\d+|\d{4,})\b")  # seconds, megabytes, bytes: no page promises them


@dataclass(frozen=True)
class Typed:
    """A command of a page and the lines shown beneath it, none where the page leaves them out."""

    command: str
    shown: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.command, comments=True)[1:]


def typed(page: str) -> Iterator[Typed]:
    """Each `$ hypnogram ...` of a page, in order, in fences or indented."""
    command, shown = "", list[str]()
    for line in [*(ROOT / page).read_text().splitlines(), ""]:
        text = line.removeprefix("    ")
        if command and line.strip() and not text.startswith(("$ ", "```")) and (line.startswith("    ") or shown):
            shown.append(text)
            continue
        if command:
            yield Typed(command, tuple(shown))
        command, shown = text.removeprefix("$ ") if text.startswith("$ hypnogram ") else "", []


@dataclass
class Names:
    """Which id or digest of a page is which one here: one to one, so that equal ones are equal and others are not."""

    here: dict[str, str] = field(default_factory=dict)

    def known(self, text: str) -> str:
        """`text` of the page with what it names as it is here."""
        return ID.sub(lambda found: self.here.get(found[0], found[0]), text)

    def check(self, page: str, seen: str) -> None:
        """Raises AssertionError where `seen` is not the line of the `page`, but for ids, digests and sizes."""
        assert _shape(page) == _shape(seen), f"the page shows\n{page}\nbut this was printed\n{seen}"
        for shown, there in zip(_named(page), _named(seen), strict=True):
            assert self.here.setdefault(shown, there) == there, f"the page's {shown} was {self.here[shown]} before"
            assert sum(known == there for known in self.here.values()) == 1, f"{there} has two names on the page"


def _named(line: str) -> list[str]:
    return [*ID.findall(line), *DIGEST.findall(ID.sub("", line))]


def _shape(line: str) -> str:
    for kind, name in ((ID, "ID"), (TIME, "TIME"), (DIGEST, "DIGEST"), (SIZE, "SIZE")):
        line = kind.sub(name, line)
    return " ".join(line.split())
