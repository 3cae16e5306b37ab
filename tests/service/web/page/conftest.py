"""A server whose page tests visit, and what a visitor sees of a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx
import pytest

from tests.patience import PATIENCE
from tests.service.conftest import Running

FORM = "application/x-www-form-urlencoded"
VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Seen(HTMLParser):
    """A page taken apart: words by the tag they stand in, and the attributes of each tag."""

    status: int
    html: str
    words: dict[str, list[str]] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
            self.words.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.words[tag][-1] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [has for name, has in self.tags if name == tag and attributes.items() <= has.items()]

    def text(self, tag: str = "main") -> str:
        return " ".join(" ".join(self.words.get(tag, [])).split())

    @property
    def fields(self) -> dict[str, str]:
        """What the form of the page sends as it stands, but for its buttons."""
        return {has["name"]: has.get("value", "") for has in self.all("input") if has.get("type") == "hidden"}

    @property
    def links(self) -> list[str]:
        return [has["href"] for has in self.all("a")]


class Visitor:
    """A browser without scripts, which follows where it is sent."""

    def __init__(self, http: str, token: str = "") -> None:
        self.client = httpx.Client(base_url=http, follow_redirects=True, timeout=PATIENCE)
        if token:
            self.client.cookies.set("hypnogram-token", token)

    def get(self, path: str) -> Seen:
        return _seen(self.client.get(path))

    def send(self, path: str, **fields: str) -> Seen:
        """Looks at the form of `path`, fills in `fields` and sends it."""
        return _seen(self.client.post(path, data={**self.get(path).fields, **fields}, headers={"content-type": FORM}))


def _seen(answer: httpx.Response) -> Seen:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Seen(answer.status_code, answer.text)


@pytest.fixture
def visitor(demo: Running) -> Iterator[Visitor]:
    visitor = Visitor(demo.http)
    with visitor.client:
        yield visitor
