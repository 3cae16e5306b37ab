"""Looks up what a memory has of the subjects that a turn speaks of, and words what takes its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from core.decide.commands import NewFact
from core.extraction.candidates import Candidate, Reason
from core.facts import Fact, Origin, Phrasebook
from core.ids import FactId
from core.library import entry_of, said_also
from core.state.meaning import Meanings
from core.state.memory import Memory, statement_key
from core.state.work import Read
from core.texts import same_words, sentence, without_article
from core.wordings import generated_wordings, of_several, origin_of

LAST_TURNS = 2  # before a turn, one of them a reply: what "forget that" may mean


@dataclass(frozen=True)
class Held:
    """The facts of a memory as they are before a turn is read, each looked up in the facts of its subject alone."""

    memory: Memory
    phrasebook: Phrasebook

    @cached_property
    def meanings(self) -> Meanings:
        return Meanings(self.phrasebook)

    def fact(self, id_: FactId) -> Fact:
        return self.memory.facts[id_].fact

    def meaning(self, fact: Fact) -> tuple[str, str]:
        """Returns what facts share that are about the same."""
        return same_words(fact.subject), self.meanings.of(fact.relation, fact.each[0])

    def live(self, subject: str, relation: str, object_: str) -> Sequence[FactId]:
        """Returns the live facts of that subject and meaning."""
        meaning = same_words(subject), self.meanings.of(relation, object_)
        return [id_ for id_ in self._live_about.get(meaning[0], ()) if self.meaning(self.fact(id_)) == meaning]

    @cached_property
    def _live_about(self) -> Mapping[str, Sequence[FactId]]:
        """The live facts by subject, in the form in which subjects are compared."""
        about: dict[str, list[FactId]] = {}
        for id_, state in self.memory.facts.items():
            if not state.retracted:
                about.setdefault(same_words(state.fact.subject), []).append(id_)
        return about

    def ended_by(self, candidate: Candidate) -> Iterator[FactId]:
        """Yields the live facts that `candidate` says do not hold, or no longer."""
        relations = candidate.ends if candidate.reason is Reason.PAST else (candidate.relation,)
        object_ = without_article(candidate.object)
        for relation in relations if candidate.may_end else ():
            yield from self._with_object(candidate.subject, relation, None if candidate.whichever else object_)
            yield from self.said_otherwise(candidate.subject, relation, object_)
            entry = entry_of(relation, object_)
            if entry is not None and entry.mutual:
                yield from self._with_object(object_, relation, candidate.subject)

    def said_otherwise(self, subject: str, relation: str, object_: str) -> Iterator[FactId]:
        """Yields the live facts that say the same by another relation: "works as baker" of "is a baker"."""
        for name in said_also(relation, object_):
            yield from self._with_object(subject, name, object_)

    def _with_object(self, subject: str, relation: str, object_: str | None) -> Iterator[FactId]:
        """Yields the live facts of a subject with that object, alone or in a list; with any for None."""
        for id_ in self.live(subject, relation, object_ or ""):
            if object_ is None or any(same_thing(one, object_) for one in self.fact(id_).each):
                yield id_

    def earlier(self, id_: FactId) -> Fact | None:
        """Returns the fact that the given one superseded, if it has words and means the same."""
        predecessor = self.memory.facts[id_].predecessor
        earlier = None if predecessor is None else self.fact(predecessor)
        if earlier is None or not earlier.subject or self.meaning(earlier) != self.meaning(self.fact(id_)):
            return None
        return earlier

    def since(self, candidate: Candidate, new: NewFact) -> NewFact:
        """Returns what `candidate` says to hold since `new`: "lives in Bergen" of "moved to Bergen"."""
        words = generated_wordings(new.fact.subject, candidate.now, new.fact.object, self.phrasebook)
        fact = replace(new.fact, relation=candidate.now, wordings=words)
        return replace(new, fact=fact, origin=origin_of(fact, self.phrasebook))

    def successor(self, new: NewFact, old: FactId) -> NewFact:
        """Returns `new` with the relation of `old`, which it supersedes, and its wordings where a client gave them."""
        state = self.memory.facts[old]
        relation = state.fact.relation
        if statement_key(new.fact.subject, new.fact.relation) == statement_key(state.fact.subject, relation):
            fact = new.fact
        else:
            words = generated_wordings(state.fact.subject, relation, new.fact.object, self.phrasebook)
            fact = replace(new.fact, subject=state.fact.subject, relation=relation, wordings=words)
        if state.origin is Origin.CLIENT:
            fact = replace(fact, subject=state.fact.subject, wordings=state.fact.wordings)
        return replace(new, fact=fact, origin=origin_of(fact, self.phrasebook))

    def listing(self, new: NewFact, objects: Sequence[str], old: FactId | None) -> NewFact:
        """Returns a fact that lists `objects`, with the id and the source of `new`; it supersedes `old`."""
        new = new if old is None else self.successor(new, old)
        fact = of_several(new.fact, objects, self.phrasebook)
        if old is not None and self.memory.facts[old].origin is Origin.CLIENT:
            fact = replace(fact, wordings=new.fact.wordings)
        return replace(new, fact=fact, origin=origin_of(fact, self.phrasebook))


def same_thing(object_: str, said: str) -> bool:
    """Whether two objects are the same without their articles: "cello" and "the cello"."""
    return without_article(sentence(object_)) == without_article(sentence(said))


def taught_before(memory: Memory, work: Read) -> list[FactId]:
    """Returns the live facts that the user's turn before that of `work` taught."""
    return [
        fact
        for fact, state in memory.facts.items()
        if state.source.conversation == work.conversation
        and work.turn - LAST_TURNS <= state.source.turn < work.turn
        and not state.retracted
    ]
