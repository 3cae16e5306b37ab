"""What becomes of the candidates of a turn, and the events that say so."""

from __future__ import annotations

from dataclasses import dataclass

from core.decide.commands import Heard, NewFact
from core.decide.history import MAX_REASON
from core.events.conversation import Finding
from core.events.facts import FactAdded
from core.events.history import FactRetracted
from core.extraction.candidates import EXPLANATIONS
from core.ids import Digest, FactId

PROPOSED, CONTRADICTS, UNUSABLE, NO_ROOM = "proposed", "contradicts", "unusable", "no_room"


@dataclass(slots=True)
class Outcome:
    """What becomes of one candidate.

    Attributes:
        new: to be added, or a fact of all objects of several outcomes once these are joined.
        joins: whether `new` has another object beside those that the memory has for its subject and relation.
        supersedes, retracts, known: facts of the memory.
        absorbs: further facts of the memory whose objects `new` has: retracted if it is added.
        drops: a fact of the memory that has further objects, of which the candidate ends one.
        finding: why nothing comes of it.
    """

    heard: Heard
    new: NewFact | None = None
    joins: bool = False
    supersedes: FactId | None = None
    retracts: FactId | None = None
    absorbs: tuple[FactId, ...] = ()
    drops: FactId | None = None
    known: FactId | None = None
    finding: Finding | None = None

    @property
    def ended(self) -> tuple[FactId, ...]:
        """Facts of the memory that are not live any more."""
        return tuple(fact for fact in (self.supersedes, self.retracts, *self.absorbs) if fact is not None)

    def reject(self, finding: Finding | None) -> None:
        """Leaves the memory as it is."""
        self.finding = finding
        self.new = self.supersedes = self.retracts = self.drops = None
        self.absorbs = ()


def added(new: NewFact) -> FactAdded:
    """Returns the event of a fact that a turn states."""
    return FactAdded(
        fact=new.fact.id,
        statement=new.fact,
        source=new.source,
        request="",
        request_digest=Digest(""),
        origin=new.origin,
    )


def retracted(fact: FactId, words: str) -> FactRetracted:
    """Returns the event of a fact that a turn ends with `words`."""
    return FactRetracted(fact=fact, reason=words[:MAX_REASON], erase=False, request="", request_digest=Digest(""))


def rejected(heard: Heard, known: FactId | None = None) -> Finding:
    """Returns why extraction did not accept a candidate."""
    reason = heard.candidate.reason
    assert reason is not None
    return finding(heard, reason.value, EXPLANATIONS[reason], known)


def contradicting(heard: Heard, known: FactId) -> Outcome:
    """Returns the outcome of a candidate that the fact `known` stands against."""
    why = "there is another object for its subject and relation; supersede or retract that fact"
    return Outcome(heard, finding=finding(heard, CONTRADICTS, why, known))


def finding(heard: Heard, reason: str, why: str, known: FactId | None = None, object_: str = "") -> Finding:
    """Returns what is recorded of a candidate that is not added; `object_` takes the place of its own."""
    candidate = heard.candidate
    return Finding(
        subject=candidate.subject,
        relation=candidate.relation,
        object=object_ or candidate.object,
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
