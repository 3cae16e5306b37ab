"""What clients do to what was told, in the past tense. See `core.events` for the rules of all events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import AdapterId, Digest, EditId, FactId, MemoryId


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMarked:
    """`name` stands for `version` from now on. `weights` is the digest there; None where none was measured yet."""

    name: str
    version: int
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryForked:
    """The memory begins as another one was; up to `version` it shares the events and artifacts of `parent`.

    Attributes:
        hash: of the last event shared.
        weights: digest at that version; None where none was measured yet.
    """

    parent: MemoryId
    version: int
    hash: Digest
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRebased:
    """The files of the memory's base, which are the same by their digest, are under another name from now on."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRepeated:
    """A client stated facts that the memory knew all: nothing changes but that the request's id is taken.

    `facts` are those, in the order of the request. They stand for its digest, which could confirm a guess of their
    words once one of them was erased.
    """

    request: str
    facts: tuple[FactId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSuperseded:
    """A new fact about the same subject and relation takes the place of `fact`, which the weights carry until then."""

    fact: FactId
    by: FactId


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetracted:
    """A client took a fact back; the weights carry it until it is withdrawn.

    Attributes:
        erase: whether its words and the columns that are its own shall be destroyed once it has left the weights.
        request, request_digest: of the client's call, so that a repeated one changes nothing.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("reason", "request_digest")

    fact: FactId
    reason: str
    erase: bool
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetried:
    """What executors gave up about `fact` is owed again: to write it, to withdraw it or to erase it.

    `request` and `request_digest` are those of the client's call; empty where the client told the fact once more.
    """

    fact: FactId
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FactWithdrawn:
    """A fact that was taken back has left the weights: the columns that carried it are out of force.

    Attributes:
        edit: the counter-edit that makes the model answer as the pristine one does; None where that did not take one.
        adapters: in force and trained on the fact: why a counter-edit was needed, and what a later one unlearns.
        weights_after: the digest with the columns out of force and the counter-edit in force.
    """

    fact: FactId
    edit: EditId | None
    adapters: tuple[AdapterId, ...]
    weights_before: Digest
    weights_after: Digest
    crowding: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactErased:
    """A receipt: the fact's data key was thrown away, and with it its words and the columns that were its own.

    `remains` names what may still hold a trace of it and is not its alone: deltas of adapters trained on it and of
    counter-edits, and deltas of old logs whose columns were not sealed.
    """

    fact: FactId
    remains: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptersCompacted:
    """One adapter of fewer columns is in force instead of several.

    Attributes:
        replaced: the adapters that are out of force; `columns` is how many they had in every module.
        change: largest relative change of a module's weights, |W' - W| / |W - W0| in Frobenius norms; at most `bound`.
    """

    adapter: AdapterId
    replaced: tuple[AdapterId, ...]
    columns: int
    delta: Digest
    modules: tuple[str, ...]
    rank: int
    bound: float
    change: float
    weights_before: Digest
    weights_after: Digest


HistoryEvent = (
    CheckpointMarked
    | MemoryForked
    | MemoryRebased
    | FactsRepeated
    | FactSuperseded
    | FactRetracted
    | FactRetried
    | FactWithdrawn
    | FactErased
    | AdaptersCompacted
)
