"""The report: what it says is what happened, whatever the facts hold, and it needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from core.decide.commands import MarkCheckpoint, NewFact, RetractFact, SupersedeFact
from core.errors.base import FactUnknown
from core.events import Event, Recorded
from core.events.facts import FactAdded
from core.facts import Origin, Source
from core.ids import Digest, FactId
from core.state.memory import Status
from core.state.work import Withdraw, next_work
from core.wordings import in_words
from service.app.lineage import Link, lineage
from service.report import most_lived, report
from service.report.lineage_graph import FIRST, LAST
from service.report.timeline import fold_timeline
from store.clock import next_event_id
from store.log.event_log import EventLog
from store.log.rows import NewEvent
from tests.core.samples import ARIA, LIFE
from tests.core.strategies import logs
from tests.service.browser import THEMES, Browser, browser
from tests.service.histories import DEMO, History, at, long_life, short_life
from tests.service.parrot import withdrawn

__all__ = ["browser"]

HOSTILE = "<script>alert('x')</script> & \"quoted\" ]]> \u202eback \x07bell 'tick' <svg onload=x>"


class Page(HTMLParser):
    """A page taken apart: its tags, attributes and words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        self.pictures = [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def titles(self) -> list[str]:
        """Of the wide form of each figure."""
        wide = [one for one in self.pictures if one.get("class") == "wide"]
        return [title.text or "" for one in wide for title in one.iter("{http://www.w3.org/2000/svg}title")]


def recorded(events: Iterable[Event]) -> list[Recorded]:
    return [at(event, version) for version, event in enumerate(events, start=1)]


def links_of(lived: History, fact: FactId, folder: Path) -> list[Link]:
    with EventLog.open(f"sqlite:///{folder}/log.db") as log:
        new = [NewEvent(id=next_event_id(), event=one.event, cause=one.cause) for one in lived.recorded]
        log.append(DEMO, new, expected=0)
        return lineage(log, DEMO, fact, len(new))


def reworded(lived: History, words: str) -> History:
    """The same life of facts that say `words`, more than a client may."""
    source = Source(client=words, conversation=words, turn=1, span=words)
    for index, one in enumerate(lived.recorded):
        if isinstance(event := one.event, FactAdded):
            statement = replace(event.statement, subject=words, object=words)
            lived.recorded[index] = replace(one, event=replace(event, statement=statement, source=source))
    return lived


@pytest.fixture(scope="module")
def lived() -> History:
    return short_life()


@pytest.fixture(scope="module")
def chosen(lived: History) -> FactId:
    fact = most_lived(lived.recorded)
    assert fact is not None
    return fact


@pytest.fixture(scope="module")
def links(lived: History, chosen: FactId, tmp_path_factory: pytest.TempPathFactory) -> list[Link]:
    return links_of(lived, chosen, tmp_path_factory.mktemp("lineage"))


@pytest.fixture(scope="module")
def html(lived: History, chosen: FactId, links: list[Link]) -> str:
    return report(lived.recorded, fact=chosen, links=links)


class TestWhatItSays:
    def test_headline_numbers(self, lived: History, html: str) -> None:
        page, told = Page(html), fold_timeline(lived.recorded)
        last = told.audits[-1]
        dissolved = sum(one.status is Status.DISSOLVED for one in lived.state.facts.values())

        for words in (
            f"facts added {len(lived.state.facts)} ",
            f"dissolved {dissolved} {len(lived.state.facts) - dissolved} carried by edits",
            f"{last.healthy} of {last.asked} healthy",
            f"perplexity {last.perplexity:.2f} base model {last.base_perplexity:.2f}",
            "sleeps 4 1 nap, 1 rolled back",
            f"Versions 1 to {len(lived.recorded)} on dormouse (float32), 2026-03-02",
        ):
            assert words in page.text
        assert dissolved > 0

    def test_every_fact_goes_its_way_in_the_hypnogram(self, lived: History, html: str) -> None:
        titles = Page(html).titles
        for fact, state in lived.state.facts.items():
            stated = state.fact
            (way,) = [
                one for one in titles if one.startswith(f"{stated.subject} {stated.relation} {stated.object}: pending")
            ]
            assert way.startswith(
                f"{stated.subject} {stated.relation} {stated.object}: pending at {state.added}, stage 0 at"
            )
            last = "dissolved" if state.status is Status.DISSOLVED else f"stage {state.stage}"
            assert re.search(rf"{last} at \d+$", way)
            assert fold_timeline(lived.recorded).level_at(fact, len(lived.recorded)) == last

    def test_a_rollback_puts_facts_back_and_is_marked(self, lived: History, html: str) -> None:
        told = fold_timeline(lived.recorded)
        (undone,) = [span for span in told.sleeps if span.undone]
        assert undone.ended
        page = Page(html)

        assert f"sleep 2, versions {undone.began} to {undone.ended}: rolled back" in " ".join(page.titles)
        assert "sleep 2 ↶" in page.text
        for fact in told.levels:
            assert told.level_at(fact, undone.ended) == told.level_at(fact, undone.began)
        assert any(undone.began < version < undone.ended for known in told.levels.values() for version, _ in known)

    def test_marks_of_audits_hold_what_was_measured(self, lived: History, html: str) -> None:
        titles = Page(html).titles
        audits = fold_timeline(lived.recorded).audits
        assert len(audits) > 8
        assert {one.rested for one in audits} == {False, True}
        for audit in audits:
            assert any(f"{audit.healthy} of {audit.asked} facts healthy" in one for one in titles)
            assert any(f"perplexity {audit.perplexity:.2f} at version {audit.version}" in one for one in titles)

    def test_falls_of_shares_are_equally_steep(self, html: str) -> None:
        wide = [one for one in Page(html).pictures if one.get("class") == "wide"]
        (audits,) = [one for one in wide if (one.get("aria-label") or "").startswith("Recall")]
        ticks = [
            words.text for words in audits.iter("{http://www.w3.org/2000/svg}text") if words.get("class") == "tick"
        ]

        lowest = [words for words in ticks if words in ("0%", "50%", "90%")]
        assert len(lowest) == 4
        assert len(set(lowest)) == 1

    def test_every_fact_has_a_row_that_says_where_it_stands(self, lived: History, html: str) -> None:
        told, rows = fold_timeline(lived.recorded), re.findall(r"<tr.*?</tr>", html, re.DOTALL)[1:]

        assert len(rows) == len(told.levels) > 5
        for (fact, levels), row in zip(told.levels.items(), rows, strict=True):
            words = Page(row).text
            assert words.startswith(in_words(told.facts[fact].fact))
            assert f" {told.facts[fact].added} {levels[-1][1]}" in words
            degraded = sum(which == fact for _, which in told.degraded)
            assert words.endswith(f"{degraded} times") == (degraded > 1)
        assert {levels[-1][1] for levels in told.levels.values()} > {"dissolved"}

    def test_a_life_has_a_row_for_each_event_and_an_edge_for_each_cause(self, html: str, links: list[Link]) -> None:
        page = Page(html)
        assert len(links) > FIRST + LAST
        assert page.tags.count("li") == FIRST + LAST + 1
        shown = {link.recorded.id for link in (*links[:FIRST], *links[-LAST:])}
        edges = [cause for link in links if link.recorded.id in shown for cause in link.caused_by if cause in shown]
        assert html.count('class="edge-of"') == len(edges) > 0
        assert f"{len(links) - FIRST - LAST} events between them" in page.text
        said = "Added at version 5 by <bdi>notebook</bdi>, in conversation <bdi>c-17</bdi>, turn 3, in the words"
        assert said in html

    def test_a_sleep_in_progress_is_shaded_to_the_end(self, lived: History) -> None:
        began = fold_timeline(lived.recorded).sleeps[1].began
        told = fold_timeline(lived.recorded[: began + 3])
        assert told.sleeps[-1].ended is None
        words = f"sleep 1, versions {began} to {began + 3}: in progress"
        assert words in " ".join(Page(report(lived.recorded[: began + 3])).titles)

    def test_equal_events_make_equal_pages(self, lived: History, chosen: FactId, links: list[Link], html: str) -> None:
        assert report(iter(lived.recorded), fact=chosen, links=links) == html

    def test_a_fact_that_is_not_there(self, lived: History) -> None:
        with pytest.raises(FactUnknown, match="nobody"):
            report(lived.recorded, fact=FactId("nobody"))


class TestWhateverThereIs:
    def test_nothing(self) -> None:
        page = Page(report([]))
        assert "An empty memory Nothing has happened yet" in page.text
        assert most_lived([]) is None

    @pytest.mark.parametrize("length", range(1, len(LIFE) + 1))
    def test_any_beginning_of_a_life_with_every_event(self, length: int) -> None:
        page = Page(report(recorded(LIFE[:length])))
        assert f"Versions 1 to {length}" in page.text
        assert page.open == []

    @given(logs())
    @settings(max_examples=40)
    def test_any_history(self, events: list[Event]) -> None:
        log = recorded(events)
        fact = most_lived(log)
        page = Page(report(log, fact=fact))
        assert page.open == []
        told = sum(isinstance(event, FactAdded) for event in events)
        assert f"facts added {told} " in page.text or not events

    def test_words_of_any_kind_stay_words(self, tmp_path: Path) -> None:
        lived = reworded(short_life(), HOSTILE)
        fact = FactId("fact-0")

        html = report(lived.recorded, fact=fact, links=links_of(lived, fact, tmp_path))

        page = Page(html)
        assert "script" not in page.tags
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "<script>alert('x')</script> & \"quoted\" ]]>" in page.text
        assert "\x07" not in html
        assert "<script" not in html

    def test_an_erased_fact_is_one(self) -> None:
        blank = replace(ARIA, id=FactId(""), subject="", relation="", object="")
        events = [replace(one, statement=blank) if isinstance(one, FactAdded) else one for one in LIFE]
        page = Page(report(recorded(events), fact=ARIA.id))
        assert "an erased fact: pending at 3" in " ".join(page.titles)

    def test_it_needs_nothing_but_itself(self, html: str) -> None:
        page = Page(html)
        assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(page.tags)
        linked = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "data")]
        assert linked == []
        assert set(re.findall(r"url\(([^)]*)\)", html)) == {"#depth-wide", "#depth-narrow"}
        assert set(re.findall(r"https?://[^\s\"'<]+", html)) == {"http://www.w3.org/2000/svg"}
        assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
        assert "style" not in dict(page.attributes)  # which the policy of the HTTP port would not allow


class TestInABrowser:
    @pytest.fixture(scope="class")
    def long(self) -> str:
        lived = long_life()
        assert len(lived.state.facts) == 300
        return report(lived.recorded, fact=most_lived(lived.recorded))

    @pytest.mark.parametrize("theme", THEMES)
    @pytest.mark.parametrize("width", [1280, 600])
    def test_it_is_seen_in_both_themes_and_stays_inside_the_window(
        self, browser: Browser, html: str, width: int, theme: str
    ) -> None:
        look = browser.look(html, width, theme)
        assert (look.window, look.outside) == (width, 0)
        assert look.page <= width
        assert look.background == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 22, 27)"}[theme]

        picture = browser.picture(html, width, 800, theme)
        assert (picture.width, picture.height) == (width, 800)
        paper = {"light": b"\xff\xff\xff", "dark": b"\x13\x16\x1b"}[theme]
        assert picture.pixels[:3] == paper
        chosen = {"light": b"\xe0\x8e\x00", "dark": b"\xf5\xb0\x41"}[theme]
        assert chosen in picture.colours(left=0.15)  # the hypnogram's chosen fact
        assert len(picture.colours(bottom=0.3)) > 20  # the headlines

    @pytest.mark.parametrize("width", [1280, 600])
    def test_three_hundred_facts_fit(self, browser: Browser, long: str, width: int) -> None:
        look = browser.look(long, width, "light")
        assert (look.page <= width, look.outside) == (True, 0)
        assert len(long) < 1_000_000

    def test_hostile_words_stay_inside_too(self, browser: Browser, tmp_path: Path) -> None:
        lived = reworded(short_life(), "W" * 400)
        fact = FactId("fact-0")
        html = report(lived.recorded, fact=fact, links=links_of(lived, fact, tmp_path))
        for width in (1280, 600):
            look = browser.look(html, width, "light")
            assert (look.page <= width, look.outside) == (True, 0)


class TestTakenBack:
    def lived(self) -> History:
        """One of four facts superseded, another one retracted, with a checkpoint before."""
        lived = short_life()
        first, second, *_ = lived.state.facts.values()
        lived.do(MarkCheckpoint(memory=DEMO, name="monday", version=lived.state.version, weights=None))
        new = NewFact(
            fact=replace(first.fact, id=FactId("fact-new"), object="Porto"), source=Source(), origin=Origin.RULES
        )
        for command in (
            SupersedeFact(memory=DEMO, fact=first.fact.id, new=new, request="1", request_digest=Digest("1")),
            RetractFact(
                memory=DEMO, fact=second.fact.id, reason="", erase=False, request="2", request_digest=Digest("2")
            ),
        ):
            lived.do(command)
        while isinstance(work := next_work(lived.state), Withdraw):
            lived.do(withdrawn(work, lived.state))
        lived.write()
        return lived

    def test_what_was_taken_back_ends_and_is_counted(self) -> None:
        lived = self.lived()
        told, page = fold_timeline(lived.recorded), Page(report(lived.recorded))
        gone = [fact for fact, known in told.levels.items() if known[-1][1] == "withdrawn"]

        assert len(gone) == told.counts[-1][1].withdrawn == 2
        assert "2 retracted" in page.text
        assert "A line that ends" in page.text
        wide = next(one for one in page.pictures if one.get("class") == "wide")
        paths = wide.iter("{http://www.w3.org/2000/svg}path")
        assert len([one for one in paths if one.get("class") == "left"]) == 2

    def test_checkpoints_are_named(self) -> None:
        lived = self.lived()
        marked = lived.state.checkpoints["monday"].version

        assert f"checkpoint monday, version {marked}" in Page(report(lived.recorded)).titles
        assert "Dotted: checkpoints." in Page(report(lived.recorded)).text

    @pytest.mark.parametrize("which", [0, 1])
    def test_the_lineage_shows_how_it_went(self, which: int, tmp_path: Path) -> None:
        lived = self.lived()
        fact = list(lived.state.facts)[which]
        page = Page(report(lived.recorded, fact=fact, links=links_of(lived, fact, tmp_path)))

        assert "withdrawn: " in page.text
        assert ("superseded by fact fact-new" in page.text) == (which == 0)
