"""The demo's nights: three sleeps, and after each the questions about facts, strangers and known people again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from hypnogram.v1 import facts_pb2, sleep_pb2
from rich.console import Console

from hypnogram.client import Client
from models.dormouse.corpus import answer
from models.dormouse.phrasebook import BY_NAME, RELATIONS
from models.dormouse.world import Person
from service.demo.waits import meanwhile

NIGHTS = 3
WIDTHS = (6, 28, 13, 8, 8, 9, 7)  # of the columns
Ask = Callable[[Client, str], str]


def sleep_three_nights(
    console: Console,
    client: Client,
    memory: str,
    ask: Ask,
    strangers: Sequence[Person],
    neighbours: Sequence[tuple[str, str]],
) -> None:
    """Prints one row for each night: stages, facts right in chat, known people unchanged, strangers still unknown."""
    facts = list(client.facts(memory))

    def row(night: str, seconds: str) -> None:
        """Asks all questions again and prints a row."""
        with meanwhile(console, "asking about all facts again"):
            cells = _row(client, memory, ask, facts, strangers, neighbours)
        _print(console, (night, *cells, seconds))

    _print(console, ("night", "facts", "scale", "right", "known", "strangers", "seconds"))
    row("before", "")
    remarks = []
    for night in range(1, NIGHTS + 1):
        began = time.monotonic()
        with meanwhile(console, f"night {night}") as now:

            def show(news: sleep_pb2.WatchSleepResponse, night: int = night, now: Callable[[str], None] = now) -> None:
                if news.HasField("step") or news.HasField("progress"):
                    now(f"night {night}: {_step(news)}")

            report = client.sleep(memory, seed=night, news=show)
        row(str(night), f"{time.monotonic() - began:.0f}")
        remarks += [f"  night {night}: {report.remark or report.reason}"] if report.remark or report.reason else []
    for remark in remarks:
        console.print(remark)


def _print(console: Console, cells: Sequence[str]) -> None:
    console.print(
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)), soft_wrap=True
    )


def _row(
    client: Client,
    memory: str,
    ask: Ask,
    facts: Sequence[facts_pb2.Fact],
    strangers: Sequence[Person],
    neighbours: Sequence[tuple[str, str]],
) -> tuple[str, ...]:
    now = list(client.facts(memory))
    stages = Counter(fact.stage for fact in now)
    scales = sorted({fact.scale for fact in now}, reverse=True)
    right = sum(ask(client, _question(fact)) == _sentence(fact) for fact in facts)
    same = sum(ask(client, question) == before for question, before in neighbours)
    unknown = sum(
        ask(client, RELATIONS[number % len(RELATIONS)].trained_questions[0].format(s=person.name)).startswith("I do")
        for number, person in enumerate(strangers)
    )
    return (
        ", ".join(f"{count} at stage {stage}" for stage, count in sorted(stages.items())),
        ", ".join(f"{scale:.1f}" for scale in scales),
        f"{right} of {len(facts)}",
        f"{same} of {len(neighbours)}",
        f"{unknown} of {len(strangers)}",
    )


def _question(fact: facts_pb2.Fact) -> str:
    return BY_NAME[fact.relation].trained_questions[0].format(s=fact.subject)


def _sentence(fact: facts_pb2.Fact) -> str:
    return answer(BY_NAME[fact.relation], Person(fact.subject, {fact.relation: fact.object}))


def _step(news: sleep_pb2.WatchSleepResponse) -> str:
    if news.HasField("step"):
        return news.step.step
    return f"{news.progress.step} {news.progress.done} of {news.progress.total}"
