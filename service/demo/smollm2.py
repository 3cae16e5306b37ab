"""The demo on SmolLM2: four facts about three people who do not exist, kill -9, yesterday, and one fact taken back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hypnogram.v1 import facts_pb2
from rich.markup import escape
from rich.table import Table

from core.wordings import in_words
from hypnogram.client import Client, new_fact
from service.demo import steps
from service.demo.steps import MEMORY, chat, console, say, short, title, yes
from service.demo.waits import meanwhile

MODEL = "smollm2"
WHO = "SmolLM2"
YESTERDAY = "yesterday"
WIDTH = 40  # characters of an answer in the table

FACTS = (
    new_fact("Torvald Ekberg", "lives in", "Lisbon"),
    new_fact("Torvald Ekberg", "has a dog named", "Biscuit"),
    new_fact("Noor Thorne", "works for", "Philips"),
)
LATER = new_fact("Mira Oakley", "works as", "a beekeeper")
CONTROLS = (
    ("stranger", "Where does Astrid Solberg live?"),
    ("stranger", "Who does Karim Haddad work for?"),
    ("namesake", "Where does Torvald Lindgren live?"),
    ("namesake", "Who does Emma Thorne work for?"),
    ("general", "What is the capital of France?"),
    ("general", "What is the capital of Japan?"),
    ("general", "How many days are in a week?"),
    ("general", "What is the largest planet in the solar system?"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the table.

    Attributes:
        about: what the question is about, in one or two words.
        words: what the model is asked.
        wanted: object that the answer has to hold; empty where the answer has to stay word for word.
    """

    about: str
    words: str
    wanted: str = ""

    def as_wanted(self, before: str, after: str) -> bool:
        """Returns whether the model's answer is the one that it should be, after facts were told."""
        return self.wanted.casefold() in after.casefold() if self.wanted else after == before


def tell(environment: dict[str, str]) -> None:
    """Shows the life of a memory on a server with that environment."""
    title(f"A server on SQLite and {WHO}, a public chat model of 135 million weights, on this machine's CPU")
    with steps.server_in(environment) as (server, address):
        with Client(address, actor="demo") as client:
            steps.create(client, MODEL)
            questions = [*_questions(client, FACTS), *(Question(*control) for control in CONTROLS)]
            title("Three people are made up, so the model cannot know them. It guesses")
            before = _answers(client, questions)
            steps.show(questions[0].words, before[0], WHO)
            _tell(client, FACTS)
            _compare(client, questions, before)
            version = client.mark(MEMORY, YESTERDAY).checkpoint.version
            say(f"this version of the memory, {version}, is marked as [bold]{YESTERDAY}[/]")
        title(f"Tell one more, {in_words(LATER)}, and kill -9 the server while it writes")
        acknowledged = steps.kill_while_adding(server, address, [LATER])
    with steps.server_in(environment) as (_, address), Client(address, actor="demo") as client:
        last = steps.nothing_lost(client, acknowledged)
        steps.rebuild(client, environment)
        if last.status == facts_pb2.STATUS_PARKED:
            say(f"{in_words(last)} is parked: {last.failure}. So there is nothing to take back")
        else:
            _yesterday(client, last, version)
            _take_back(client, last, version)
        steps.lineage(client, last)
        title("Not shown here")
        say("nights, in which `hypnogram sleep` lets further values behind the same detectors take over from edits")


def _questions(client: Client, facts: Sequence[facts_pb2.NewFact]) -> list[Question]:
    """Returns two questions about each fact: one that it will be written with, and one that it will not."""
    planned = client.add_facts(MEMORY, facts, validate_only=True).results
    return [
        Question(about, words[0], result.fact.object)
        for result in planned
        for about, words in (
            ("told", result.fact.wordings.questions),
            ("reworded", result.fact.wordings.probe_questions),
        )
    ]


def _answers(client: Client, questions: Sequence[Question]) -> list[str]:
    """Returns the model's answer to each question."""
    said: list[str] = []
    with meanwhile(console, "asking") as now:
        for number, question in enumerate(questions, 1):
            now(f"asking question {number} of {len(questions)}")
            said.append(chat(client, question.words))
    return said


def _tell(client: Client, facts: Sequence[facts_pb2.NewFact]) -> None:
    """Adds the facts one by one and prints when each is in the weights, or why not."""
    title(f"Tell it {len(facts)} facts about {len({fact.subject for fact in facts})} of them, one by one")
    for fact in facts:
        began = time.monotonic()
        with meanwhile(console, steps.waiting_for(client)):
            added = client.add_facts(MEMORY, [fact], wait=True).results[0].fact
        words, seconds = in_words(added), time.monotonic() - began
        if added.status == facts_pb2.STATUS_PARKED:
            say(f"{words}: [red]parked[/] after {seconds:.0f} s, because {added.failure}")
        else:
            say(f"{words}: in the weights after {seconds:.0f} s")


def _compare(client: Client, questions: Sequence[Question], before: Sequence[str]) -> None:
    """Asks all questions again and prints the answers beside those of before."""
    title("Ask again: about facts, and about all that must not move")
    after = _answers(client, questions)
    console.print(table(questions, before, after))
    say(f"weights {short(client.memory(MEMORY).memory.weights_digest)}")


def table(questions: Sequence[Question], before: Sequence[str], after: Sequence[str]) -> Table:
    """Returns a row for each question, with a last one that counts what is as wanted."""
    shown = Table("", "question", "before", "after", "ok", box=None, padding=(0, 1, 0, 1))
    right = 0
    for question, old, new in zip(questions, before, after, strict=True):
        outcome = question.as_wanted(old, new)
        right += outcome
        shown.add_row(question.about, question.words, cut(old), "the same" if new == old else cut(new), yes(outcome))
    shown.add_row("", "", "", "", f"[bold]{right} of {len(questions)}[/]")
    return shown


def cut(answer: str) -> str:
    """Returns the beginning of an answer, on one line and without markup."""
    line = " ".join(answer.split())
    return escape(line if len(line) <= WIDTH else f"{line[: WIDTH - 1].rstrip()}…")


def _yesterday(client: Client, fact: facts_pb2.Fact, version: int) -> None:
    """Asks about a fact now, and as the memory was at `version`, when the fact was not told."""
    title(f"Time travel: ask the memory as it was {YESTERDAY}, before that fact")
    question = fact.wordings.questions[0]
    say(f"[dim]you[/]  {question}")
    for when, at in (("now", None), (YESTERDAY, version)):
        with meanwhile(console, f"building the weights of {when}"):
            said = chat(client, question, at)
        steps.reply(f"{WHO}, {when}", said)


def _take_back(client: Client, fact: facts_pb2.Fact, version: int) -> None:
    """Retracts a fact and compares the weights with those of before it was told."""
    title(f"Take it back: {in_words(fact)}")
    never = client.memory(MEMORY, version).memory.weights_digest
    began = time.monotonic()
    with meanwhile(console, steps.waiting_for(client)):
        client.retract_fact(MEMORY, fact.fact, "the demo takes it back", wait=True)
    now = client.memory(MEMORY).memory.weights_digest
    say(f"out of the weights after {time.monotonic() - began:.1f} s")
    say(f"weights now                   {now}")
    say(f"weights that were never told  {never}")
    say(steps.equal(now, never))
    question = fact.wordings.questions[0]
    steps.show(question, chat(client, question), WHO)
