"""Shows a sleep while it lasts: live bars on a terminal, one line for each milestone in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.terminal.spinner import Bar, lines

if TYPE_CHECKING:
    from hypnogram.v1 import sleep_pb2
    from rich.progress import Progress

News = Any  # sleep_pb2.WatchSleepResponse


@contextmanager
def watching(kind: str, look: Callable[[], str], *, quiet: bool) -> Iterator[Callable[[News], None]]:
    """Shows the news of a sleep on standard error, of which its milestones stay; nothing when `quiet`.

    Args:
        look: returns what the sleep waits for, shown until the first news.
    """
    if quiet:
        yield lambda news: None
        return
    if not sys.stderr.isatty():
        with lines(look) as bar:
            yield lambda news: _write(news, bar)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Display(bars, kind).show


def milestone(news: News) -> str:
    """Returns one line for a milestone; empty for other news."""
    match news.WhichOneof("what"):
        case "began":
            return f"{news.began.kind} {news.began.sleep} begins"
        case "audited":
            return f"audit {news.audited.occasion}: {_health(news.audited)}"
        case "edit":
            return f"refresh: {len(news.edit.facts)} facts written again in {news.edit.seconds:.1f} s"
        case "adapter":
            adapter = news.adapter
            loss = f"loss {adapter.first_loss:.3f} -> {adapter.last_loss:.3f}"
            return f"train: {adapter.facts} facts, {adapter.steps} steps, {loss} in {adapter.seconds:.1f} s"
        case "rescaled":
            return f"rescale: {news.rescaled.facts} facts"
        case "failure":
            return f"{news.failure.step} failed, attempt {news.failure.attempt}: {news.failure.message}"
        case _:
            return ""


class _Display:
    """One bar for the current step, with counts of facts beside it."""

    def __init__(self, bars: Progress, kind: str) -> None:
        self._bars = bars
        self._task = bars.add_task(kind, total=None, facts="")
        self._counts: dict[str, int] = {}
        self._loss = ""

    def show(self, news: News) -> None:
        what = news.WhichOneof("what")
        if line := milestone(news):
            self._bars.console.print(f"[dim]{line}[/]", highlight=False, markup=True)
        if what == "step":
            self._loss = ""
            self._bars.remove_task(self._task)  # because a task that is reset keeps its total
            self._task = self._bars.add_task(news.step.step, total=None, facts=self._facts())
        elif what == "progress":
            if news.progress.HasField("loss"):
                self._loss = f"loss {news.progress.loss:.3f}  "
            self._bars.update(
                self._task, completed=news.progress.done, total=news.progress.total or None, facts=self._facts()
            )
        elif what == "audited":
            self._counts["healthy"] = news.audited.healthy
        elif what == "verdict" and news.verdict.occasion == "gate":
            self._count("at the gate passed" if news.verdict.healthy else "turned back")
        elif what == "change":
            self._count(news.change.what)
        self._bars.update(self._task, facts=self._facts())

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def _facts(self) -> str:
        return self._loss + ", ".join(f"{count} {what}" for what, count in self._counts.items())


def _health(audited: sleep_pb2.Audited) -> str:
    controls = audited.controls
    return (
        f"{audited.healthy} of {audited.facts} facts healthy, neighbours {controls.neighbours:.1%}, strangers "
        f"{controls.strangers:.1%}, unanswered {controls.unanswered:.1%}, perplexity {controls.perplexity:.3f}"
    )


def _write(news: News, bar: Bar) -> None:
    """Writes milestones at once, and passes the current step to `bar` for its regular lines."""
    what = news.WhichOneof("what")
    if what == "step":
        bar(0, 0, news.step.step)
    elif what == "progress":
        bar(news.progress.done, news.progress.total, news.progress.step)
    if line := milestone(news):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
