"""Compares what a memory holds at the end of a dialogue with what was said in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.conversation.dialogues import Dialogue, Triple
from core.extraction.candidates import Candidate
from core.state.meaning import Meanings
from core.state.memory import Memory
from core.texts import same_words, without_article

_MEANINGS = Meanings({})


def plain(subject: str, relation: str, object_: str) -> Triple:
    """Returns a fact as facts are compared: by what its relation means, without articles.

    Who "is a dentist" works as one, and both sides of a marriage are the same fact.
    """
    bare = without_article(object_)
    meaning = _MEANINGS.of("works as" if relation == "is" else relation, bare)
    first, second = same_words(subject), same_words(bare)
    if meaning == "is married to":
        first, second = sorted((first, second))
    return first, meaning, second


def learned(memory: Memory) -> Counter[Triple]:
    """Returns the live facts of a memory, each object of a list by itself."""
    facts = [state.fact for state in memory.facts.values() if not state.retracted]
    stated = [(fact.subject, plain(fact.subject, fact.relation, object_)) for fact in facts for object_ in fact.each]
    times = Counter(stated)
    return Counter({triple: times[subject, triple] for subject, triple in stated})


def _in_words(triple: Triple, said: Sequence[str]) -> str:
    """Returns a fact, and the turns that name its object."""
    last = triple[2].split()[-1:]
    turns = [text for text in said if last and last[0] in text.lower()]
    return " ".join([" | ".join(triple), "<-", *map(repr, turns)])


@dataclass(slots=True)
class Score:
    """Counts over dialogues.

    Attributes:
        wanted, right: facts that were to be learned, and those that were, by kind of episode.
        said, leaked: what must not be learned, and what was, by kind.
        learned, wrong: facts in the memories, and those of them that are wrong or there twice.
        resolved: contradictions and ends, and those of them after which exactly the last word holds.
        mistakes: a line for each mistake.
    """

    wanted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    leaked: Counter[str] = field(default_factory=Counter)
    learned: int = 0
    wrong: int = 0
    contradictions: int = 0
    resolved: int = 0
    from_assistant: int = 0
    mistakes: list[str] = field(default_factory=list)

    def add(self, dialogue: Dialogue, memory: Memory, candidates: Iterable[Candidate]) -> None:
        """Counts one dialogue; `candidates` are those that were found in it."""
        held = learned(memory)
        about_user = {
            plain("user", candidate.relation, candidate.object)
            for candidate in candidates
            if candidate.accepted and candidate.about_user
        }
        truth = {plain(*triple): kind for triple, kind in dialogue.holds.items()}
        never = {plain(*triple): kind for triple, kind in dialogue.never.items()}
        said = [text for text, _ in dialogue.turns]
        for triple, kind in truth.items():
            self._wanted(kind, triple in held, triple, said)
        for triple, kind in {plain(*triple): kind for triple, kind in dialogue.about_user.items()}.items():
            self._wanted(kind, triple in about_user, triple, said)
        self.said += Counter(never.values())
        self._judge(held, truth, never, said)
        self._resolve(dialogue, held)
        self.from_assistant += sum(plain(*triple) in held for triple in dialogue.assistant)

    def _wanted(self, kind: str, is_right: bool, triple: Triple, said: Sequence[str]) -> None:
        self.wanted[kind] += 1
        self.right[kind] += is_right
        if not is_right:
            self.mistakes.append(f"missed ({kind}): {_in_words(triple, said)}")

    def _judge(
        self, held: Counter[Triple], truth: dict[Triple, str], never: dict[Triple, str], said: Sequence[str]
    ) -> None:
        """Counts the facts that are wrong."""
        for triple, count in held.items():
            self.learned += count
            wrong = count - (triple in truth)
            self.wrong += wrong
            if wrong:
                kind = never.get(triple, "twice" if triple in truth else "something else")
                self.leaked[kind] += wrong
                self.mistakes.append(f"wrong ({kind}): {_in_words(triple, said)}")

    def _resolve(self, dialogue: Dialogue, held: Counter[Triple]) -> None:
        for subject, relation, objects, kind in dialogue.resolved:
            wanted = {plain(subject, relation, object_) for object_ in objects}
            spoken = {plain(*said) for said in (*dialogue.holds, *dialogue.never) if said[:2] == (subject, relation)}
            is_right = {triple for triple in spoken if triple in held} == wanted
            self.contradictions += kind != "several"
            self.resolved += is_right and kind != "several"

    @property
    def precision(self) -> float:
        return 1 - self.wrong / self.learned if self.learned else 1.0

    def recall(self, *, about_user: bool) -> float:
        """Returns the share of what was stated that was learned; of facts about the user, that was found."""
        kinds = [kind for kind in self.wanted if (kind == "about the user") is about_user]
        wanted = sum(self.wanted[kind] for kind in kinds)
        return sum(self.right[kind] for kind in kinds) / wanted if wanted else 1.0

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each kind of episode."""
        kinds = sorted({*self.wanted, *self.said, *self.leaked})
        return [
            {
                "kind": kind,
                "stated": self.wanted[kind],
                "learned": self.right[kind],
                "not_to_be_learned": self.said[kind],
                "wrongly_learned": self.leaked[kind],
            }
            for kind in kinds
        ]
