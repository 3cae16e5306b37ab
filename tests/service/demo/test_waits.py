"""The demo is never silent for long, wherever its words go."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypnogram.v1 import chat_pb2, facts_pb2, memories_pb2, sleep_pb2
from rich.console import Console

from models.dormouse.world import unseen_people
from service.demo import dormouse, steps, waits
from service.demo.nights import sleep_three_nights
from service.demo.waits import meanwhile
from service.terminal import spinner
from tests.patience import eventually


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spinner, "FIRST", 0.02)
    monkeypatch.setattr(waits, "EVERY", 0.02)


def test_a_file_gets_a_line_now_and_then_with_the_newest_words() -> None:
    console = Console(file=io.StringIO())

    with meanwhile(console, "night 1") as now:
        _until(console, "... night 1 (")
        now("night 1: train 5 of 300")
        _until(console, "... night 1: train 5 of 300 (")


def test_words_that_change_by_themselves_are_asked_for_again() -> None:
    console, pending = Console(file=io.StringIO()), [2]

    with meanwhile(console, lambda: f"{pending[0]} facts are pending"):
        _until(console, "... 2 facts are pending (")
        pending[0] = 1
        _until(console, "... 1 facts are pending (")


class Clerk:
    """A server that knows no memory and sleeps at once."""

    def facts(self, memory: str) -> list[facts_pb2.Fact]:
        return [facts_pb2.Fact(subject="Ann Lee", relation="lives in", object="Rome", stage=1, scale=0.5)]

    def chat(
        self, memory: str, said: str, max_tokens: int, at_version: int | None = None
    ) -> Iterator[chat_pb2.ChatResponse]:
        yield chat_pb2.ChatResponse(text="I do not know.")

    def complete(self, memory: str, prompt: str, max_tokens: int) -> Iterator[chat_pb2.ChatResponse]:
        yield chat_pb2.ChatResponse(text="Rome. And")

    def memory(self, memory: str) -> memories_pb2.GetMemoryResponse:
        return memories_pb2.GetMemoryResponse(memory=memories_pb2.Memory(statistics_prepared=True))

    def create_memory(self, memory: str, base: object) -> None:
        pass

    def add_facts(self, memory: str, facts: object, wait: bool) -> None:
        pass

    def sleep(self, memory: str, seed: int, news: Callable[[Any], None]) -> sleep_pb2.SleepReport:
        news(sleep_pb2.WatchSleepResponse(step=sleep_pb2.StepReached(step="train")))
        news(sleep_pb2.WatchSleepResponse(progress=sleep_pb2.StepProgress(step="train", done=1, total=9)))
        return sleep_pb2.SleepReport(remark=f"night of seed {seed}")


def test_rows_of_nights_are_printed_as_they_come() -> None:
    console = Console(file=io.StringIO())
    assert isinstance(console.file, io.StringIO)
    seen: list[str] = []

    class Witness(Clerk):
        def sleep(self, memory: str, seed: int, news: Callable[[Any], None]) -> sleep_pb2.SleepReport:
            seen.append(console.file.getvalue())  # type: ignore[attr-defined]
            return super().sleep(memory, seed, news)

    client: Any = Witness()
    sleep_three_nights(console, client, "demo", lambda client, question: "?", unseen_people(2, seed=1), [("Who?", "?")])

    said = console.file.getvalue()
    assert "before  1 at stage 1" in seen[0]
    assert "\n  1       1 at stage 1" in seen[1]
    assert "\n  3       1 at stage 1" in said
    assert "night 2: night of seed 2" in said


def test_the_first_half_of_the_demo_is_told_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO())
    assert isinstance(console.file, io.StringIO)
    for module in (dormouse, steps):
        monkeypatch.setattr(module, "console", console)
    client: Any = Clerk()
    people = unseen_people(2, seed=1)

    steps.create(client)
    dormouse._before(client, people)
    neighbours = dormouse._neighbours(client)
    dormouse._tell(client, people)
    dormouse._after(client, people, neighbours)

    said = console.file.getvalue()
    facts = sum(len(person.profile) for person in people)
    assert f"Add {facts} facts about 2 of them" in said
    assert f"0 of {facts}" in said
    assert "10 of 10 answers unchanged" in said
    assert "10 of 10 are still unknown to it" in said


def _until(console: Console, words: str) -> None:
    said = console.file
    assert isinstance(said, io.StringIO)
    eventually(lambda: words in said.getvalue())
