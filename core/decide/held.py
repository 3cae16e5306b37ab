"""Looks up what a memory has of the subjects of new facts, and words what joins it or takes its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from core.decide.commands import NewFact
from core.decide.told import MAX_SPAN, says_the_same, why_unusable
from core.extraction.candidates import Candidate, Reason
from core.facts import Fact, Origin, Phrasebook, Source
from core.ids import FactId
from core.library import entry_of, said_also
from core.state.meaning import Meanings
from core.state.memory import Memory, statement_key
from core.state.user import refusal_about_user
from core.state.work import Read
from core.texts import same_words, sentence, without_article
from core.wordings import generated_wordings, of_several, origin_of

LAST_TURNS = 2  # before a turn, one of them a reply: what "forget that" may mean


@dataclass(frozen=True)
class Held:
    """The facts of a memory as they are before a turn is read, each looked up in the facts of its subject alone.

    Attributes:
        unheard: facts that the turn cannot mean: about another user than the one who speaks.
    """

    memory: Memory
    phrasebook: Phrasebook
    unheard: Collection[FactId] = ()

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

    @property
    def all_live(self) -> list[FactId]:
        """The live facts, but for those that the turn cannot mean."""
        return [fact for facts in self._live_about.values() for fact in facts]

    @cached_property
    def _live_about(self) -> Mapping[str, Sequence[FactId]]:
        """The live facts by subject, in the form in which subjects are compared."""
        about: dict[str, list[FactId]] = {}
        for id_, state in self.memory.facts.items():
            if not state.retracted and id_ not in self.unheard:
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

    def joins(self, new: NewFact, before: Fact) -> bool:
        """Whether `new` has one more object beside those of a fact of its subject and relation, which may have several.

        Wordings that a client gives are made for the object that it gives, so such a fact joins none.
        """
        alike = self.meaning(before) == self.meaning(new.fact)
        return alike and new.origin is not Origin.CLIENT and not self.meanings.has_one(new.fact)

    def joined(self, new: NewFact, earlier: NewFact | None, old: FactId | None) -> NewFact:
        """Returns one fact of the objects of `new` and those before it: of `earlier`, which is new too, or of `old`."""
        before = earlier.fact if earlier is not None else self.fact(old) if old is not None else None
        assert before is not None, "there is a fact to join"
        carrier = earlier or new
        source = carrier.source if earlier is None else of_both(earlier.source, new.source)
        listed = self.listing(carrier, (*before.each, *new.fact.each), old)
        return replace(listed, source=source)


def addable(memory: Memory, request: str, candidates: Sequence[NewFact]) -> tuple[NewFact, ...]:
    """Returns those of `candidates` that break no limit and contradict neither the memory nor one before them.

    Of a request that was accepted earlier and added nothing, those that it named then.
    """
    earlier = memory.requests.get(request)
    if earlier is not None and earlier.repeated:
        named = {_key(memory.facts[fact].fact) for fact in earlier.repeated}
        return tuple(candidate for candidate in candidates if _key(candidate.fact) in named)
    held = Held(memory, memory.created.phrasebook if memory.created is not None else {})
    kept: dict[tuple[str, str], NewFact] = {}
    chosen: list[NewFact] = []
    for candidate in candidates:
        key = _key(candidate.fact)
        live, earlier_new = memory.by_statement.get(key), kept.get(key)
        before = earlier_new.fact if earlier_new is not None else memory.facts[live].fact if live is not None else None
        refused = refusal_about_user(memory, candidate.fact.subject, candidate.source.client)
        if why_unusable(candidate.fact) or refused is not None:
            continue
        if before is None:
            kept[key] = candidate
        elif not says_the_same(before, candidate.fact):
            if not held.joins(candidate, before):
                continue
            joined = held.joined(candidate, earlier_new, live)
            if why_unusable(joined.fact):
                continue
            kept[key] = joined
        chosen.append(candidate)
    return tuple(chosen)


def _key(fact: Fact) -> tuple[str, str]:
    return statement_key(fact.subject, fact.relation)


def of_both(first: Source, second: Source) -> Source:
    """Returns the source of a fact that two texts, or two places of one text, state together."""
    span = " ".join(dict.fromkeys(filter(None, (first.span, second.span))))
    return replace(first, span=span[:MAX_SPAN], end=max(first.end, second.end))


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
