"""Events of conversations. See `core/events/` for the rules of all events.

Their words are sealed under the data key of the conversation, so that destroying it erases all its texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import ConversationKey, Digest, FactId
from core.remember import Remember


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpoke:
    """A user said `text`; recorded before the reply to it begins.

    Attributes:
        turn: number of the turn in its conversation, from 1; replies count too.
        key: of the conversation; the first turn names a new one.
        remember: whether facts are learned from it.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("text",)
    KEY: ClassVar[str] = "key"

    conversation: str
    turn: int
    key: ConversationKey
    text: str
    remember: Remember


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReplied:
    """The model replied `text`; recorded when the reply has ended.

    Attributes:
        to: turn of the user that it replies to.
        version, weights: version whose weights replied, and their digest.
        complete: False where the client left, or generation failed, before the end.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("text",)
    KEY: ClassVar[str] = "key"

    conversation: str
    turn: int
    key: ConversationKey
    to: int
    text: str
    version: int
    weights: Digest
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a turn may have stated, and why it did not become a fact.

    Attributes:
        about_user: whether the subject is the user, or belongs to the user.
        start, end: characters `start .. end - 1` of the turn that state it.
        sentence: first character of its sentence, and the one after the last.
        positive, modality: as in `core/extraction/candidates.py`.
        reason: "proposed" where the turn asked to have facts found and not added; otherwise why it is not one.
        explanation: the reason in words.
        contradicts: the fact that has another object.
    """

    subject: str
    relation: str
    object: str
    about_user: bool
    start: int
    end: int
    sentence: tuple[int, ...]
    positive: bool
    modality: str
    reason: str
    explanation: str
    contradicts: FactId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRead:
    """A turn of a user was read, once and for all; the events of what is learned from it follow in the same append.

    Attributes:
        facts: facts that it added.
        known: facts that the memory had, and that it says again.
        superseded, retracted: facts that its facts supersede, and facts that it takes back.
        findings: everything else that it may have stated.
        failure: why it could not be read; empty where it was.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("findings",)
    KEY: ClassVar[str] = "key"

    conversation: str
    turn: int
    key: ConversationKey
    facts: tuple[FactId, ...] = ()
    known: tuple[FactId, ...] = ()
    superseded: tuple[FactId, ...] = ()
    retracted: tuple[FactId, ...] = ()
    findings: tuple[Finding, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationClosed:
    """A client asked that the texts of a conversation be erased: it takes no turn any more, and no turn is read.

    Asked again, it may be followed by retractions of facts that were learned from it.
    """

    conversation: str
    key: ConversationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationErased:
    """The data key of a conversation was destroyed, and with it all its texts."""

    conversation: str
    key: ConversationKey


ConversationEvent = UserSpoke | ModelReplied | TurnRead | ConversationClosed | ConversationErased
