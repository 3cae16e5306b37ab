"""`decide` for what a turn of a conversation states: facts to add, to supersede and to retract. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.decide.commands import Heard, NewFact, RecordReading
from core.decide.facts import check_room
from core.decide.held import Held, same_thing, taught_before
from core.decide.outcomes import (
    NO_ROOM,
    PROPOSED,
    UNUSABLE,
    Outcome,
    added,
    contradicting,
    finding,
    rejected,
    retracted,
)
from core.decide.told import MAX_SPAN, says_the_same, why_unusable
from core.english.taking_back import asks_for
from core.errors.base import CapacityReached, StaleWork
from core.errors.harm import FalseFiresReached
from core.events import Event
from core.events.conversation import TurnRead
from core.events.history import FactSuperseded
from core.extraction.candidates import Candidate, Reason
from core.facts import Fact, Source
from core.ids import FactId
from core.remember import Remember
from core.state.memory import Memory, statement_key
from core.state.user import refusal_about_user, unheard_by
from core.state.work import still_owed
from core.texts import sentence
from core.wordings import origin_of


def record_reading(memory: Memory, command: RecordReading) -> tuple[Event, ...]:
    """Records what is learned from a turn, and that it was read; both in one append. Raises StaleWork."""
    if not still_owed(memory, command.work):
        raise StaleWork("the turn is read already, or its conversation was erased")
    assert memory.created is not None
    held = Held(memory, memory.created.phrasebook, unheard_by(memory, command.client))
    reading = _Reading(held, command)
    for heard in command.heard:
        reading.hear(heard)
    reading.take_back()
    reading.forget()
    reading.join()
    if command.work.remember is not Remember.ON:
        reading.propose()
    try:
        check_room(memory, len(reading.added))
    except (CapacityReached, FalseFiresReached) as refusal:
        reading.give_up(NO_ROOM, str(refusal))
    return reading.events()


@dataclass(slots=True)
class _Reading:
    """A turn that is being read, candidate by candidate."""

    held: Held
    command: RecordReading
    outcomes: list[Outcome] = field(default_factory=list)
    taken_back: dict[FactId, NewFact | None] = field(default_factory=dict)  # with what was there before
    forgotten: dict[FactId, str] = field(default_factory=dict)  # with the words that say so

    @property
    def new(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.new is not None]

    @property
    def added(self) -> list[tuple[NewFact, FactId | None]]:
        """The facts that the turn adds, or makes hold again, each with the one that it supersedes."""
        new = [(outcome.new, outcome.supersedes) for outcome in self.outcomes if outcome.new is not None]
        return new + [(again, fact) for fact, again in self.taken_back.items() if again is not None]

    def hear(self, heard: Heard) -> None:
        """Decides on a candidate, in the light of those before it."""
        if not heard.candidate.accepted:
            self.outcomes += self._denied(heard)
        elif heard.new is None:
            self.outcomes.append(Outcome(heard, finding=finding(heard, UNUSABLE, "no fact was made of it")))
        elif refusal := refusal_about_user(self.held.memory, heard.new.fact.subject, self.command.client):
            self.outcomes.append(Outcome(heard, finding=finding(heard, refusal.reason.lower(), str(refusal))))
        elif why := why_unusable(heard.new.fact):
            self.outcomes.append(Outcome(heard, finding=finding(heard, UNUSABLE, why)))
        else:
            self.outcomes.append(self._stated(heard, heard.new))

    def take_back(self) -> None:
        """Takes back what the turn stated before the words that say so; if nothing, what the turn before it taught."""
        command = self.command
        if not command.taken_back:
            return
        before = [outcome for outcome in self.new if outcome.heard.candidate.start < command.taken_back_at]
        for outcome in before:
            outcome.reject(finding(outcome.heard, Reason.CORRECTED.value, "a later sentence takes it back"))
        if before or self.new:  # what the turn states is what was meant
            return
        ended = {fact for outcome in self.outcomes for fact in (*outcome.ended, outcome.drops)}
        taught = [fact for fact in taught_before(self.held.memory, command.work) if fact not in ended]
        self.taken_back = dict.fromkeys(taught)
        for fact, new_id in zip(taught, command.spare, strict=False):
            if (earlier := self.held.earlier(fact)) is not None:
                self.taken_back[fact] = self._again(replace(earlier, id=new_id), self.held.memory.facts[fact].source)

    def forget(self) -> None:
        """Ends the facts that the turn says to forget by asking for them: "forget where I live"."""
        new = {outcome.supersedes for outcome in self.new}
        for words, asked in self.command.forgotten:
            for fact in self.held.all_live:
                wordings = self.held.fact(fact).wordings
                if fact not in new and asks_for(asked, (*wordings.questions, *wordings.probe_questions)):
                    self.forgotten[fact] = words

    def join(self) -> None:
        """Makes one fact of all objects that a subject has of a relation, in the place of those that listed them."""
        groups: dict[tuple[str, str], list[Outcome]] = {}
        ended = {fact for outcome in self.outcomes for fact in outcome.ended}
        for outcome in self.outcomes:
            if outcome.drops in ended:
                outcome.drops = None  # none of its objects is left
            if outcome.new is not None and outcome.joins:
                groups.setdefault(self.held.meaning(outcome.new.fact), []).append(outcome)
            elif outcome.drops is not None:
                groups.setdefault(self.held.meaning(self.held.fact(outcome.drops)), []).append(outcome)
        for outcomes in groups.values():
            self._join(outcomes)

    def propose(self) -> None:
        """Leaves the memory as it is: what would be added, superseded or retracted is proposed instead."""
        for outcome in self.outcomes:
            if outcome.new is not None:
                why, said = "it is not added before a client agrees", outcome.new.fact.object
                outcome.reject(finding(outcome.heard, PROPOSED, why, outcome.supersedes, said))
            elif outcome.retracts is not None:
                outcome.reject(rejected(outcome.heard, outcome.retracts))
        self.taken_back, self.forgotten = {}, {}

    def give_up(self, reason: str, why: str) -> None:
        """Adds nothing, for one reason."""
        for outcome in self.new:
            outcome.reject(finding(outcome.heard, reason, why, outcome.supersedes))
        self.taken_back = dict.fromkeys(self.taken_back)

    def events(self) -> tuple[Event, ...]:
        """Returns the events of the turn: that it was read, what it adds and what it ends."""
        work, words = self.command.work, self.command.taken_back
        new = self.added
        gone: dict[FactId, str] = {}
        for outcome in self.outcomes:
            for fact in filter(None, (outcome.retracts, *outcome.absorbs)):
                gone.setdefault(fact, outcome.heard.words)
        gone |= {fact: words for fact, again in self.taken_back.items() if again is None}
        gone |= {fact: said for fact, said in self.forgotten.items() if fact not in gone}
        read = TurnRead(
            conversation=work.conversation,
            turn=work.turn,
            key=self.held.memory.conversations[work.conversation].key,
            facts=tuple(fact.fact.id for fact, _ in new),
            known=tuple(dict.fromkeys(outcome.known for outcome in self.outcomes if outcome.known is not None)),
            superseded=tuple(old for _, old in new if old is not None),
            retracted=tuple(gone),
            findings=tuple(outcome.finding for outcome in self.outcomes if outcome.finding is not None),
        )
        return (
            read,
            *(added(fact) for fact, _ in new),
            *(FactSuperseded(fact=old, by=fact.fact.id) for fact, old in new if old is not None),
            *(retracted(fact, words) for fact, words in gone.items()),
        )

    def _stated(self, heard: Heard, new: NewFact) -> Outcome:
        """Decides on a candidate that could be a fact."""
        new = self._since(heard.candidate, new)
        fact, held = new.fact, self.held
        before, live = list(self._before(fact)), self._live(fact)
        if any(says_the_same(earlier.fact, fact) for earlier in before):
            return Outcome(heard)
        same = [id_ for id_ in live if says_the_same(held.fact(id_), fact)]
        same += held.said_otherwise(fact.subject, fact.relation, fact.object)
        if same:
            return Outcome(heard, known=same[0])
        if not held.meanings.has_one(fact):
            return Outcome(heard, new=new, joins=True)
        if not held.meanings.knows(fact) and not self.command.corrects:
            return self._of_unknown_relation(heard, new, live)
        if (ended := self._ended_here(fact)) is not None:
            return Outcome(heard, new=held.successor(new, ended), supersedes=ended)
        if before:
            return contradicting(heard, before[0].fact.id)
        if live:
            return Outcome(heard, new=held.successor(new, live[0]), supersedes=live[0])
        return Outcome(heard, new=new)

    def _of_unknown_relation(self, heard: Heard, new: NewFact, live: Sequence[FactId]) -> Outcome:
        """Decides on a candidate whose relation the library lacks: it is added where there is no other object of it."""
        key = statement_key(new.fact.subject, new.fact.relation)
        taken = self.held.memory.by_statement.get(key)
        others = [taken] if taken is not None and taken in live else []
        stated = (earlier.fact for earlier in self._before(new.fact))
        others += [fact.id for fact in stated if statement_key(fact.subject, fact.relation) == key]
        return contradicting(heard, others[0]) if others else Outcome(heard, new=new)

    def _denied(self, heard: Heard) -> list[Outcome]:
        """Decides on a candidate that is not a fact, which may end some; whichever it is, if there is only one."""
        gone = {fact for outcome in self.outcomes for fact in outcome.ended}
        ended = [id_ for id_ in dict.fromkeys(self.held.ended_by(heard.candidate)) if id_ not in gone]
        if not ended or (heard.candidate.whichever and len(ended) > 1):
            return [Outcome(heard, finding=rejected(heard))]
        outcomes = []
        for fact in ended:
            lists = self.held.fact(fact).objects and not heard.candidate.whichever
            outcomes.append(Outcome(heard, drops=fact) if lists else Outcome(heard, retracts=fact))
        return outcomes

    def _join(self, outcomes: list[Outcome]) -> None:
        """Joins the outcomes on one subject and relation, of which the first then has the fact.

        It has what is left of every list that the outcomes change, and supersedes the first of these lists.
        """
        stated = [outcome.new.fact for outcome in outcomes if outcome.new is not None]
        lists = list(dict.fromkeys(outcome.drops for outcome in outcomes if outcome.drops is not None))
        lists = lists or self._live(stated[0])[:1]
        listed = [object_ for known in lists for object_ in self._left(known, outcomes)]
        listed += [object_ for fact in stated for object_ in fact.each]
        said = [sentence(object_) for object_ in listed]
        objects = [object_ for place, object_ in enumerate(listed) if said[place] not in said[:place]]
        carrier = outcomes[0]
        new = carrier.new or carrier.heard.new
        assert new is not None, "a candidate that ends a fact has what may take its place"
        for outcome in outcomes:
            outcome.retracts = None if objects else outcome.drops
            outcome.new = outcome.drops = None
        if not objects:
            return
        known = next(iter(lists), None)
        new = self.held.listing(new, objects, known)
        if why := why_unusable(new.fact):
            for outcome in outcomes:
                outcome.reject(finding(outcome.heard, UNUSABLE, why, known))
            return
        carrier.new, carrier.supersedes = replace(new, source=_of_all(outcomes, new.source)), known
        carrier.absorbs = tuple(lists[1:])

    def _left(self, known: FactId, outcomes: Sequence[Outcome]) -> Iterator[str]:
        """Yields the objects of a fact that are left: not those that the turn ends, or takes back."""
        listed = self.held.fact(known).each
        if self.command.taken_back and known in taught_before(self.held.memory, self.command.work):
            earlier = self.held.earlier(known)
            listed = () if earlier is None else earlier.each
        gone = [outcome.heard.candidate.object for outcome in outcomes if outcome.drops is not None]
        return (object_ for object_ in listed if not any(same_thing(object_, said) for said in gone))

    def _again(self, fact: Fact, source: Source) -> NewFact:
        """Returns a fact that holds again because the turn takes its successor back, which has `source`."""
        start, words = self.command.taken_back_at, self.command.taken_back
        source = replace(
            source, turn=self.command.work.turn, span=words[:MAX_SPAN], start=start, end=start + len(words)
        )
        return NewFact(fact=fact, source=source, origin=origin_of(fact, self.held.phrasebook))

    def _since(self, candidate: Candidate, new: NewFact) -> NewFact:
        """Returns what holds since `new`, where the memory has, or the turn ended, what held before it."""
        if not candidate.now:
            return new
        now = self.held.since(candidate, new)
        ended = (self.held.fact(fact) for outcome in self.outcomes for fact in outcome.ended)
        changes = self._live(now.fact) or any(self.held.meaning(old) == self.held.meaning(now.fact) for old in ended)
        return now if changes else new

    def _ended_here(self, fact: Fact) -> FactId | None:
        """Returns the fact whose end the turn has stated and whose successor is `fact`: it is not retracted then."""
        for outcome in self.outcomes:
            ended = outcome.retracts
            if ended is not None and self.held.meaning(self.held.fact(ended)) == self.held.meaning(fact):
                outcome.retracts = None
                return ended
        return None

    def _live(self, fact: Fact) -> list[FactId]:
        """Returns the live facts of the same subject and meaning that the turn has not ended."""
        ended = {ended for outcome in self.outcomes for ended in outcome.ended}
        live = self.held.live(fact.subject, fact.relation, fact.each[0])
        return [id_ for id_ in live if id_ not in ended]

    def _before(self, fact: Fact) -> Iterator[NewFact]:
        """Yields what the turn adds already of the same subject and meaning."""
        return (
            outcome.new
            for outcome in self.outcomes
            if outcome.new is not None and self.held.meaning(outcome.new.fact) == self.held.meaning(fact)
        )


def _of_all(outcomes: Sequence[Outcome], source: Source) -> Source:
    """Returns the source of a fact that several candidates state together: the sentences and characters of all."""
    sources = [outcome.heard.new.source for outcome in outcomes if outcome.heard.new is not None]
    span = " ".join(dict.fromkeys(source.span for source in sources))
    return replace(source, span=span[:MAX_SPAN], end=max(source.end for source in sources))
