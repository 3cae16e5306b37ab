"""`hypnogram chat` on a terminal: a conversation with editing, history and commands, over the network."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hypnogram.v1 import chat_pb2, facts_pb2
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from core.errors.base import HypnogramError
from core.wordings import in_words
from hypnogram.client import CallFailed
from service.cli import options
from service.cli.facts.remembered import remembered_lines
from service.cli.facts.talk import Talk
from service.cli.output import UsageProblem, print_table, print_text, status_words
from service.terminal.reasons import for_answer, of_memory
from service.terminal.spinner import until_first

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

PROMPT = "> "
HELP = (
    ("/facts [WORDS]", "list the facts of the memory, or those with these words"),
    ("/forget [FACT]", "retract a fact: by its id, by its words, or the last one that was remembered"),
    ("/yes", "add what was found, where the memory asks first"),
    ("/undo", "undo what was remembered last"),
    ("/why [FACT]", "show the history of a fact, from the words that stated it"),
    ("/sleep", "let the memory sleep, in the background"),
    ("/status", "show what the memory holds and does"),
    ("/at [MOMENT]", "chat with an earlier version: a version, a checkpoint or a time; without one, with the newest"),
    ("/help", "show these commands"),
    ("/quit", "leave; so do Ctrl-D, and Ctrl-C where nothing is typed"),
)


class Repl:
    """A conversation on a terminal. What is typed is kept for this session alone, so that it can be erased elsewhere.

    Attributes:
        last: what was remembered last; None where nothing was.
        typed: the lines so far.
    """

    def __init__(self, talk: Talk) -> None:
        self.last: chat_pb2.Remembered | None = None
        self.typed = InMemoryHistory()
        self._talk = talk
        self._client, self._memory = talk.client, talk.memory
        self._readers: list[threading.Thread] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "/facts": self._facts,
            "/forget": self._forget,
            "/yes": lambda _: self._agree(),
            "/undo": lambda _: self._undo(),
            "/why": self._why,
            "/sleep": lambda _: self._sleep(),
            "/status": lambda _: self._status(),
            "/at": self._at,
            "/help": lambda _: print_text("\n".join(f"{name:16}{what}" for name, what in HELP)),
        }

    def run(self, reading: Input | None = None, writing: Output | None = None) -> None:
        """Converses until the user leaves."""
        completer = WordCompleter([*self._commands, "/quit"], sentence=True)
        session: PromptSession[str] = PromptSession(
            history=self.typed, completer=completer, complete_while_typing=False, input=reading, output=writing
        )
        print_text(f"memory {self._memory}; /help lists the commands")
        while True:
            try:
                with patch_stdout():  # so that what was remembered is printed above the prompt
                    line = session.prompt(PROMPT)
            except KeyboardInterrupt:
                if session.default_buffer.text:
                    session.default_buffer.reset()  # so that the next one leaves, even if it comes before the prompt
                    continue
                return
            except EOFError:
                return
            if line.strip() in ("/quit", "/exit"):
                return
            self.handle(line.strip())

    def handle(self, line: str) -> None:
        """Performs a command, or says the line to the memory; prints a failure and goes on."""
        name, _, argument = line.partition(" ")
        try:
            if not line:
                return
            if not line.startswith("/"):
                self._say(line)
            elif name in self._commands:
                self._commands[name](argument.strip())
            else:
                print_text(f"{name} is not a command; /help lists them")
        except KeyboardInterrupt:
            print_text("")
        except (CallFailed, HypnogramError, UsageProblem) as error:
            print_text(f"hypnogram: {error}")

    def settle(self, timeout: float | None = None) -> None:
        """Waits until what was remembered of every turn is known."""
        for reader in self._readers:
            reader.join(timeout)

    def _say(self, text: str) -> None:
        """Prints the reply as it arrives; what is remembered is printed later, without delaying the next turn."""
        waits_for = for_answer(self._client, self._memory, self._talk.min_version)
        pieces = iter(until_first(self._talk.say(text), waits_for))
        for piece in pieces:
            print_text(piece.text, end="")
            if piece.finish:
                break
        print_text("")
        reader = threading.Thread(target=self._follow, args=(pieces,), name="remembered", daemon=True)
        self._readers = [*(known for known in self._readers if known.is_alive()), reader]
        reader.start()

    def _follow(self, pieces: Iterator[chat_pb2.ChatResponse]) -> None:
        try:
            for piece in pieces:
                if piece.HasField("remembered"):
                    self.last = piece.remembered
                    for line in remembered_lines(piece.remembered):
                        print_text(f"[{line}]")
                    if _proposed(piece.remembered):
                        print_text("[/yes adds it]")
        except CallFailed as error:
            print_text(f"[not known what was remembered: {error}]")

    def _facts(self, words: str) -> None:
        live = [fact for fact in self._client.facts(self._memory, search=words) if not fact.retracted_version]
        if live:
            print_table("", ("id", "fact", ""), ((fact.fact, in_words(fact), status_words(fact)) for fact in live))
        else:
            print_text("No facts.")

    def _forget(self, which: str) -> None:
        if (fact := self._fact(which)) is not None:
            self._client.retract_fact(self._memory, fact.fact, "the user asked to forget it")
            print_text(f"no longer: {in_words(fact)}")

    def _agree(self) -> None:
        """Adds what was found and only proposed."""
        proposed, turn, self.last = _proposed(self.last), self.last.turn if self.last else 0, None
        for candidate in proposed:
            if candidate.rejection == facts_pb2.REJECTION_NEGATED:
                self._client.retract_fact(self._memory, candidate.contradicts.fact, candidate.sentence)
            elif candidate.HasField("contradicts"):
                self._client.supersede_fact(
                    self._memory, candidate.contradicts.fact, candidate.object, source=self._source(candidate, turn)
                )
            else:
                new = facts_pb2.NewFact(
                    subject=candidate.subject,
                    relation=candidate.relation,
                    object=candidate.object,
                    source=self._source(candidate, turn),
                )
                self._client.add_facts(self._memory, [new])
        print_text("\n".join(f"done: {in_words(candidate)}" for candidate in proposed) or "Nothing was found to add.")

    def _undo(self) -> None:
        """Retracts what was remembered last, and adds again what it ended."""
        last, self.last = self.last, None
        results = [candidate for candidate in last.candidates if candidate.result.added] if last else []
        for candidate in results:
            fact = candidate.result.fact
            if candidate.HasField("superseded"):
                self._client.supersede_fact(self._memory, fact.fact, candidate.superseded.object)
            else:
                self._client.retract_fact(self._memory, fact.fact, "undone")
            print_text(f"undone: {in_words(fact)}")
        for fact in last.retracted if last else ():
            new = facts_pb2.NewFact(
                subject=fact.subject, relation=fact.relation, object=fact.object, source=fact.source
            )
            self._client.add_facts(self._memory, [new])
            print_text(f"added again: {in_words(fact)}")
        if last is None or not (results or last.retracted):
            print_text("Nothing to undo.")

    def _why(self, which: str) -> None:
        if (fact := self._fact(which)) is not None:
            for entry in self._client.lineage(self._memory, fact.fact).entries:
                print_text(f"{entry.event.version:>6}  {entry.summary}")
            if fact.source.span:
                print_text(f'        in the words: "{fact.source.span}"')

    def _sleep(self) -> None:
        begun = self._client.begin_sleep(self._memory)
        print_text(f"sleep {begun} has begun; /status shows it")

    def _status(self) -> None:
        answer = self._client.memory(self._memory)
        shown, counts = answer.memory, answer.memory.facts
        written = counts.injected + counts.dissolved
        print_text(
            f"memory {shown.memory}, version {answer.version}: {written} facts in the weights, "
            f"{counts.pending} pending, {counts.parked} parked; pressure {shown.pressure:.2f}"
        )
        if shown.asleep.sleep:
            print_text(f"{shown.asleep.kind} {shown.asleep.sleep} is at {shown.asleep.step}")
        elif counts.pending:
            print_text(f"waiting for {of_memory(answer)}")
        if self._talk.conversation:
            print_text(f"conversation {self._talk.conversation}")

    def _at(self, moment: str) -> None:
        self._talk.at_version = options.version(self._client, self._memory, moment) if moment else None
        where = f"version {self._talk.at_version}" if moment else "the newest version"
        print_text(f"replies come from {where}" + ("; nothing is remembered" if moment else ""))

    def _fact(self, which: str) -> facts_pb2.Fact | None:
        """Returns the live fact of that id or with these words, by default the last one that was remembered."""
        if not which:
            candidates = self.last.candidates if self.last else ()
            added = [candidate.result.fact for candidate in candidates if candidate.HasField("result")]
            if not added:
                print_text("Nothing was remembered yet; name a fact.")
            return added[-1] if added else None
        if _is_id(which):
            return self._client.fact(self._memory, which).fact
        live = [fact for fact in self._client.facts(self._memory, search=which) if not fact.retracted_version]
        if len(live) != 1:
            print_text(f"{len(live)} facts have these words; give more of them, or an id from /facts.")
        return live[0] if len(live) == 1 else None

    def _source(self, candidate: facts_pb2.Candidate, turn: int) -> facts_pb2.Source:
        return facts_pb2.Source(
            client="cli",
            conversation=self._talk.conversation,
            turn=turn,
            span=candidate.sentence,
            start=candidate.start,
            end=candidate.end,
        )


def _proposed(remembered: chat_pb2.Remembered | None) -> list[facts_pb2.Candidate]:
    """Returns what was found and waits for the user's agreement."""
    denied = facts_pb2.REJECTION_NEGATED
    return [
        candidate
        for candidate in (remembered.candidates if remembered else ())
        if candidate.rejection == facts_pb2.REJECTION_PROPOSED
        or (candidate.rejection == denied and candidate.HasField("contradicts"))
    ]


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
