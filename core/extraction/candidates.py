"""What extraction finds: candidates for facts, each accepted or rejected for a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Modality(StrEnum):
    """In which way a sentence speaks of a fact."""

    ASSERTED = "asserted"
    ASKED = "asked"
    HYPOTHETICAL = "hypothetical"  # conditions, guesses, fiction
    WISHED = "wished"
    QUOTED = "quoted"  # quotations, reports of what others say, pasted text
    PAST = "past"
    FUTURE = "future"
    JOKING = "joking"
    MOMENTARY = "momentary"  # holds for a moment: "is tired", "is cooking dinner"


class Reason(StrEnum):
    """Why a candidate is not accepted as a fact."""

    NEGATED = "negated"
    ASKED = "asked"
    HYPOTHETICAL = "hypothetical"
    WISHED = "wished"
    QUOTED = "quoted"
    PAST = "past"
    FUTURE = "future"
    JOKING = "joking"
    MOMENTARY = "momentary"
    SUBJECT_NOT_NAMED = "subject_not_named"
    OBJECT_NOT_NAMED = "object_not_named"
    AMBIGUOUS = "ambiguous"
    CORRECTED = "corrected"
    NOT_GROUNDED = "not_grounded"
    IN_PART = "in_part"


EXPLANATIONS = {
    Reason.NEGATED: "it is denied",
    Reason.ASKED: "it is asked and not said",
    Reason.HYPOTHETICAL: "it is supposed, guessed or made up",
    Reason.WISHED: "it is wished for",
    Reason.QUOTED: "it is quoted, and not the user's own word",
    Reason.PAST: "it is past",
    Reason.FUTURE: "it is to come",
    Reason.JOKING: "it is a joke",
    Reason.MOMENTARY: "it holds for a moment only",
    Reason.SUBJECT_NOT_NAMED: "its subject has no name",
    Reason.OBJECT_NOT_NAMED: "its object is a word that stands for something else",
    Reason.AMBIGUOUS: "its pronoun may stand for several names",
    Reason.CORRECTED: "a later sentence says something else",
    Reason.NOT_GROUNDED: "its subject or object is not in the user's own words",
    Reason.IN_PART: "the library lacks its relation, and its clause says more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A fact that a text may state.

    Attributes:
        subject: name of the subject; `core.facts.USER` where `about_user`.
        relation: relation in the third person: "lives in", "'s favourite colour is".
        object: object as said, without the article that the library puts before it.
        meaning: name of the library's relation that it is; "" where the library does not have it.
        about_user: whether the subject is the user, or belongs to the user.
        start, end: characters of the text that state it, `start .. end - 1`.
        sentence: characters of its sentence, likewise.
        positive: False where it is denied.
        modality: in which way the sentence speaks of it.
        reason: why it is not accepted; None for a fact.
        ends: relations that it says to hold no longer, of a candidate that is past.
        whichever: whether it says so of any object: "quit her job".
        now: relation that holds since then: "lives in" of "moved to"; "" for none.
    """

    subject: str
    relation: str
    object: str
    meaning: str
    about_user: bool
    start: int
    end: int
    sentence: tuple[int, int]
    positive: bool = True
    modality: Modality = Modality.ASSERTED
    reason: Reason | None = None
    ends: tuple[str, ...] = ()
    whichever: bool = False
    now: str = ""

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @property
    def may_end(self) -> bool:
        """Whether it says that a fact does not hold, or no longer."""
        denied = self.reason is Reason.NEGATED and self.modality is Modality.ASSERTED
        return denied or (self.reason is Reason.PAST and bool(self.ends))
