"""The demo on SmolLM2, told by a server that knows the answers: what it prints when facts are written, and when not."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypnogram.v1 import chat_pb2, facts_pb2, memories_pb2
from rich.console import Console

from service.demo import smollm2, steps, story
from service.demo.smollm2 import Question, cut, table
from service.settings import Settings


class Told:
    """A server that writes every fact but those about `parked`, and says every fact that is in force."""

    def __init__(self, parked: str = "") -> None:
        self.parked = parked
        self.told: list[facts_pb2.Fact] = []

    def add_facts(
        self, memory: str, facts: Sequence[facts_pb2.NewFact], wait: bool = False, validate_only: bool = False
    ) -> Any:
        results = [SimpleNamespace(fact=self._fact(fact)) for fact in facts]
        if not validate_only:
            self.told += [result.fact for result in results if result.fact.status == facts_pb2.STATUS_INJECTED]
        return SimpleNamespace(results=results)

    def retract_fact(self, memory: str, fact: str, reason: str, wait: bool) -> None:
        self.told = [other for other in self.told if other.fact != fact]

    def chat(
        self, memory: str, said: str, max_tokens: int, at_version: int | None = None
    ) -> Iterator[chat_pb2.ChatResponse]:
        known = [] if at_version else [fact.object for fact in self.told if fact.subject in said]
        yield chat_pb2.ChatResponse(text=", ".join(known) or "I guess.")

    def memory(self, memory: str, at_version: int | None = None) -> memories_pb2.GetMemoryResponse:
        digest = "never" if at_version or not self.told else "told"
        return memories_pb2.GetMemoryResponse(memory=memories_pb2.Memory(weights_digest=digest))

    def _fact(self, fact: facts_pb2.NewFact) -> facts_pb2.Fact:
        parked = fact.subject == self.parked
        wordings = facts_pb2.Wordings(questions=[f"What of {fact.subject}?"], probe_questions=[f"And {fact.subject}?"])
        return facts_pb2.Fact(
            fact=fact.subject + fact.relation,
            subject=fact.subject,
            relation=fact.relation,
            object=fact.object,
            wordings=wordings,
            status=facts_pb2.STATUS_PARKED if parked else facts_pb2.STATUS_INJECTED,
            failure="its name cannot be told apart" if parked else "",
        )


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    console = Console(file=io.StringIO(), width=200)
    for module in (smollm2, steps, story):
        monkeypatch.setattr(module, "console", console)
    assert isinstance(console.file, io.StringIO)
    return console.file


def test_facts_have_to_be_said_and_all_else_has_to_stay(said: io.StringIO) -> None:
    client: Any = Told()
    questions = [*smollm2._questions(client, smollm2.FACTS), Question("stranger", "Where does Astrid Solberg live?")]
    before = smollm2._answers(client, questions)

    smollm2._tell(client, smollm2.FACTS)
    smollm2._compare(client, questions, before)

    printed = said.getvalue()
    assert "Torvald Ekberg lives in Lisbon: in the weights after 0 s" in printed
    assert f"{len(questions)} of {len(questions)}" in printed
    assert len(questions) == 2 * len(smollm2.FACTS) + 1


def test_a_parked_fact_is_told_with_its_reason_and_counts_as_not_said(said: io.StringIO) -> None:
    client: Any = Told(parked="Noor Thorne")
    questions = smollm2._questions(client, smollm2.FACTS)
    before = smollm2._answers(client, questions)

    smollm2._tell(client, smollm2.FACTS)
    smollm2._compare(client, questions, before)

    printed = said.getvalue()
    assert "Noor Thorne works for Philips: parked after 0 s, because its name cannot be told apart" in printed
    assert "4 of 6" in printed


def test_a_fact_is_taken_back_to_the_weights_that_were_never_told(said: io.StringIO) -> None:
    client: Any = Told()
    fact = client.add_facts("demo", [smollm2.LATER]).results[0].fact

    smollm2._yesterday(client, fact, 7)
    smollm2._take_back(client, fact, 7)

    printed = said.getvalue()
    assert "SmolLM2, now  a beekeeper" in printed
    assert "SmolLM2, yesterday  I guess." in printed
    assert "equal, bit for bit" in printed
    assert printed.endswith("SmolLM2  I guess.\n")


@pytest.mark.parametrize(
    ("wanted", "before", "after", "outcome"),
    [
        ("Lisbon", "Oslo.", "He lives in lisbon.", True),
        ("Lisbon", "Lisbon.", "Oslo.", False),
        ("", "Oslo.", "Oslo.", True),
        ("", "Oslo.", "Oslo", False),
    ],
)
def test_what_is_wanted_of_an_answer(wanted: str, before: str, after: str, outcome: bool) -> None:
    assert Question("", "Where?", wanted).as_wanted(before, after) is outcome


def test_a_long_answer_is_cut_to_one_line() -> None:
    assert cut("short\nand plain") == "short and plain"
    assert len(cut("word " * 30)) <= smollm2.WIDTH
    assert cut("word " * 30).endswith("word…")


def test_an_answer_that_stayed_is_not_printed_twice(said: io.StringIO) -> None:
    steps.console.print(table([Question("general", "Who?")], ["Ann."], ["Ann."]))

    assert "the same" in said.getvalue()
    assert said.getvalue().count("Ann.") == 1


def test_without_smollm2_the_demo_is_of_dormouse_and_says_so(
    said: io.StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(story, "Settings", lambda: Settings(model_folder=tmp_path))

    assert story.chosen() == "dormouse"
    assert "hypnogram model pull smollm2" in said.getvalue()
