"""`decide` for what a turn of a conversation states: facts to add, to supersede and to retract. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.decide.commands import Heard, NewFact, RecordReading
from core.decide.facts import check_room
from core.decide.history import MAX_REASON
from core.decide.told import says_the_same, why_unusable
from core.errors.base import CapacityReached, StaleWork
from core.errors.harm import FalseFiresReached
from core.events import Event
from core.events.conversation import Finding, TurnRead
from core.events.facts import FactAdded
from core.events.history import FactRetracted, FactSuperseded
from core.extraction.candidates import EXPLANATIONS, Candidate, Modality, Reason
from core.facts import Fact, Origin, Phrasebook
from core.ids import Digest, FactId
from core.remember import Remember
from core.state.meaning import Meanings, live_facts_about
from core.state.memory import Memory, statement_key
from core.state.work import still_owed
from core.texts import same_words, sentence
from core.wordings import generated_wordings, origin_of

_ARTICLE = re.compile(r"(?:a|an|the) ", re.IGNORECASE)
LAST_TURNS = 2  # before a turn, one of them a reply: what "forget that" may mean
PROPOSED, CONTRADICTS, UNUSABLE, NO_ROOM = "proposed", "contradicts", "unusable", "no_room"


def record_reading(memory: Memory, command: RecordReading) -> tuple[Event, ...]:
    """Records what is learned from a turn, and that it was read; both in one append. Raises StaleWork."""
    if not still_owed(memory, command.work):
        raise StaleWork("the turn is read already, or its conversation was erased")
    assert memory.created is not None
    phrasebook = memory.created.phrasebook
    reading = _Reading(memory, phrasebook, Meanings(phrasebook), command.corrects)
    for heard in command.heard:
        reading.hear(heard)
    if command.taken_back:
        reading.take_back(command)
    if command.work.remember is not Remember.ON:
        reading.propose()
    try:
        check_room(memory, len(reading.new))
    except (CapacityReached, FalseFiresReached) as refusal:
        reading.give_up(NO_ROOM, str(refusal))
    return reading.events(command)


@dataclass(slots=True)
class _Outcome:
    """What becomes of one candidate."""

    heard: Heard
    new: NewFact | None = None  # to be added
    supersedes: FactId | None = None
    retracts: FactId | None = None
    known: FactId | None = None
    finding: Finding | None = None


@dataclass(slots=True)
class _Reading:
    """A turn that is being read, candidate by candidate."""

    memory: Memory
    phrasebook: Phrasebook
    meanings: Meanings
    corrects: bool
    outcomes: list[_Outcome] = field(default_factory=list)
    taken_back: dict[FactId, str] = field(default_factory=dict)  # with the words that take it back

    @property
    def new(self) -> list[_Outcome]:
        return [outcome for outcome in self.outcomes if outcome.new is not None]

    def hear(self, heard: Heard) -> None:
        """Decides on a candidate, in the light of those before it."""
        if heard.new is None:
            ended = self._ended(heard.candidate)
            self.outcomes.append(_Outcome(heard, retracts=ended, finding=None if ended else _rejected(heard)))
        elif why := why_unusable(heard.new.fact):
            self.outcomes.append(_Outcome(heard, finding=_finding(heard, UNUSABLE, why)))
        else:
            self.outcomes.append(self._stated(heard, heard.new))

    def take_back(self, command: RecordReading) -> None:
        """Takes back what the turn stated before the words that say so; if nothing, what the turn before it taught."""
        before = [outcome for outcome in self.new if outcome.heard.candidate.start < command.taken_back_at]
        for outcome in before:
            outcome.finding = _finding(outcome.heard, Reason.CORRECTED.value, "a later sentence takes it back")
            outcome.new = outcome.supersedes = None
        if before or self.new:  # what the turn states is what was meant
            return
        work, ended = command.work, {outcome.retracts for outcome in self.outcomes}
        self.taken_back = {
            fact: command.taken_back
            for fact, state in self.memory.facts.items()
            if state.source.conversation == work.conversation
            and work.turn - LAST_TURNS <= state.source.turn < work.turn
            and not state.retracted
            and fact not in ended
        }

    def propose(self) -> None:
        """Leaves the memory as it is: what would be added, superseded or retracted is proposed instead."""
        for outcome in self.outcomes:
            if outcome.new is not None:
                why = "it is not added before a client agrees"
                outcome.finding = _finding(outcome.heard, PROPOSED, why, outcome.supersedes)
            elif outcome.retracts is not None:
                outcome.finding = _rejected(outcome.heard, outcome.retracts)
            outcome.new = outcome.supersedes = outcome.retracts = None
        self.taken_back = {}

    def give_up(self, reason: str, why: str) -> None:
        """Adds nothing, for one reason."""
        for outcome in self.new:
            outcome.finding = _finding(outcome.heard, reason, why, outcome.supersedes)
            outcome.new = outcome.supersedes = None

    def events(self, command: RecordReading) -> tuple[Event, ...]:
        """Returns the events of the turn: that it was read, what it adds and what it ends."""
        new = [(outcome.new, outcome.supersedes) for outcome in self.outcomes if outcome.new is not None]
        denied = {outcome.retracts: outcome.heard.words for outcome in self.outcomes if outcome.retracts is not None}
        gone = denied | self.taken_back
        read = TurnRead(
            conversation=command.work.conversation,
            turn=command.work.turn,
            key=self.memory.conversations[command.work.conversation].key,
            facts=tuple(added.fact.id for added, _ in new),
            known=tuple(dict.fromkeys(outcome.known for outcome in self.outcomes if outcome.known is not None)),
            superseded=tuple(old for _, old in new if old is not None),
            retracted=tuple(gone),
            findings=tuple(outcome.finding for outcome in self.outcomes if outcome.finding is not None),
        )
        return (
            read,
            *(_added(added) for added, _ in new),
            *(FactSuperseded(fact=old, by=added.fact.id) for added, old in new if old is not None),
            *(_retracted(fact, words) for fact, words in gone.items()),
        )

    def _stated(self, heard: Heard, new: NewFact) -> _Outcome:
        """Decides on a candidate that could be a fact."""
        new = self._since(heard.candidate, new)
        fact = new.fact
        before = [
            outcome.new for outcome in self.new if outcome.new is not None and self._alike(outcome.new.fact, fact)
        ]
        if any(says_the_same(earlier.fact, fact) for earlier in before):
            return _Outcome(heard)
        live = self._live(fact.subject, fact.relation, fact.object)
        same = [id_ for id_ in live if says_the_same(self.memory.facts[id_].fact, fact)]
        if same:
            return _Outcome(heard, known=same[0])
        if self._single(fact) and (ended := self._ended_here(fact)) is not None:
            return _Outcome(heard, new=self._successor(new, ended), supersedes=ended)
        if before and self._single(fact):
            return _contradicting(heard, before[0].fact.id)
        if live and self._single(fact):
            return _Outcome(heard, new=self._successor(new, live[0]), supersedes=live[0])
        key = statement_key(fact.subject, fact.relation)
        if (taken := self.memory.by_statement.get(key)) is not None and taken in live:
            return _contradicting(heard, taken)
        for earlier in before:
            if statement_key(earlier.fact.subject, earlier.fact.relation) == key:
                return _contradicting(heard, earlier.fact.id)
        return _Outcome(heard, new=new)

    def _since(self, candidate: Candidate, new: NewFact) -> NewFact:
        """Returns what holds since `new` where the memory has, or the turn ended, what held before it.

        Of "moved to Bergen" that is "lives in Bergen", in the place of "lives in Oslo".
        """
        if not candidate.now:
            return new
        words = generated_wordings(new.fact.subject, candidate.now, new.fact.object, self.phrasebook)
        fact = replace(new.fact, relation=candidate.now, wordings=words)
        ended = [self.memory.facts[outcome.retracts].fact for outcome in self.outcomes if outcome.retracts is not None]
        if self._live(fact.subject, fact.relation, fact.object) or any(self._alike(old, fact) for old in ended):
            return replace(new, fact=fact, origin=origin_of(fact, self.phrasebook))
        return new

    def _ended(self, candidate: Candidate) -> FactId | None:
        """Returns the live fact that `candidate` says does not hold, or no longer."""
        relations = candidate.ends if candidate.reason is Reason.PAST else ()
        if candidate.reason is Reason.NEGATED and candidate.modality is Modality.ASSERTED:
            relations = (candidate.relation,)
        live = [id_ for name in relations for id_ in self._live(candidate.subject, name, candidate.object)]
        if not candidate.whichever:
            live = [id_ for id_ in live if _same_thing(self.memory.facts[id_].fact.object, candidate.object)]
        return live[0] if len(dict.fromkeys(live)) == 1 else None

    def _ended_here(self, fact: Fact) -> FactId | None:
        """Returns the fact whose end the turn has stated and whose successor is `fact`: it is not retracted then."""
        for outcome in self.outcomes:
            if outcome.retracts is not None and self._alike(self.memory.facts[outcome.retracts].fact, fact):
                ended, outcome.retracts = outcome.retracts, None
                return ended
        return None

    def _live(self, subject: str, relation: str, object_: str) -> Sequence[FactId]:
        """Returns the live facts of that subject and meaning that the turn has not ended."""
        ended = {outcome.supersedes or outcome.retracts for outcome in self.outcomes}
        by_meaning = live_facts_about(self.memory, [subject])
        alike = by_meaning.get((same_words(subject), self.meanings.of(relation, object_)), [])
        return [id_ for id_ in alike if id_ not in ended]

    def _alike(self, earlier: Fact, fact: Fact) -> bool:
        meaning = self.meanings.of
        return same_words(earlier.subject) == same_words(fact.subject) and meaning(
            earlier.relation, earlier.object
        ) == meaning(fact.relation, fact.object)

    def _single(self, fact: Fact) -> bool:
        """Whether a subject has one object at a time: by the phrasebook or the library, or because the turn says so."""
        return self.meanings.has_one(fact) and (self.corrects or self.meanings.knows(fact))

    def _successor(self, new: NewFact, old: FactId) -> NewFact:
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


def _added(new: NewFact) -> FactAdded:
    return FactAdded(
        fact=new.fact.id,
        statement=new.fact,
        source=new.source,
        request="",
        request_digest=Digest(""),
        origin=new.origin,
    )


def _retracted(fact: FactId, words: str) -> FactRetracted:
    return FactRetracted(fact=fact, reason=words[:MAX_REASON], erase=False, request="", request_digest=Digest(""))


def _same_thing(object_: str, said: str) -> bool:
    """Whether two objects are the same without their articles: "cello" and "the cello"."""
    first, second = (_ARTICLE.sub("", sentence(words)) for words in (object_, said))
    return first == second


def _rejected(heard: Heard, known: FactId | None = None) -> Finding:
    reason = heard.candidate.reason
    assert reason is not None
    return _finding(heard, reason.value, EXPLANATIONS[reason], known)


def _contradicting(heard: Heard, known: FactId) -> _Outcome:
    why = "there is another object for its subject and relation; supersede or retract that fact"
    return _Outcome(heard, finding=_finding(heard, CONTRADICTS, why, known))


def _finding(heard: Heard, reason: str, why: str, known: FactId | None = None) -> Finding:
    candidate = heard.candidate
    return Finding(
        subject=candidate.subject,
        relation=candidate.relation,
        object=candidate.object,
        about_user=candidate.about_user,
        start=candidate.start,
        end=candidate.end,
        sentence=candidate.sentence,
        positive=candidate.positive,
        modality=candidate.modality.value,
        reason=reason,
        explanation=why,
        contradicts=known,
    )
