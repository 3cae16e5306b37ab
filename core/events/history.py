"""Events of checkpoints, forks, retraction, erasure and compaction. See `core/events/` for the rules of all events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.ids import AdapterId, Digest, EditId, FactId, MemoryId


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMarked:
    """`version` has a name from now on. `weights` is the digest there; None if none was measured yet."""

    name: str
    version: int
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryForked:
    """The memory begins as a fork: up to `version` it shares the events and artifacts of `parent`.

    Attributes:
        hash: hash of the last shared event.
        weights: digest of the weights at that version; None if none was measured yet.
    """

    parent: MemoryId
    version: int
    hash: Digest
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRebased:
    """The files of the memory's base model, unchanged by their digest, have another name from now on."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRepeated:
    """A client added only facts that the memory already had; nothing changes, but the request's id is used.

    `facts` are these facts, in the order of the request. They are recorded instead of its digest, because the digest
    could confirm a guess of the words of a fact that is erased later.
    """

    request: str
    facts: tuple[FactId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSuperseded:
    """The fact `by` supersedes `fact`, which stays in the weights until `by` is written."""

    fact: FactId
    by: FactId


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetracted:
    """A client retracted a fact, which stays in the weights until it is withdrawn.

    Attributes:
        reason: the client's reason, in words.
        erase: whether its words and its own columns are to be destroyed once it has left the weights.
        request, request_digest: id and digest of the client's request, so that it is idempotent.
    """

    SEALED: ClassVar[tuple[str, ...]] = ("reason", "request_digest")

    fact: FactId
    reason: str
    erase: bool
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRetried:
    """Work on `fact` that had failed for good is pending again: to write, withdraw or erase it.

    `request` and `request_digest` are those of the client's request to retry; empty if the client added the fact again.
    """

    fact: FactId
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FactWithdrawn:
    """A retracted or superseded fact has left the weights: the columns that carried it are out of force.

    Attributes:
        edit: the counter-edit that makes the model answer as its base model does, or the edit of the successor; None
            if neither was needed.
        adapters: adapters in force that were trained on the fact, for which a counter-edit is needed until later
            adapters unlearn it.
        weights_after: digest of the weights from this version on.
    """

    fact: FactId
    edit: EditId | None
    adapters: tuple[AdapterId, ...]
    weights_before: Digest
    weights_after: Digest
    key_occupancy: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactErased:
    """The fact's data key was destroyed, and with it the fact's words and its own columns.

    `remains` are the artifacts that may still hold a trace of the fact: deltas of adapters trained on it, of
    counter-edits, and of old logs whose columns were not sealed.
    """

    fact: FactId
    remains: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptersCompacted:
    """One adapter of fewer columns takes the place of several.

    Attributes:
        replaced: adapters that are out of force from now on.
        columns: number of columns that they had together in every module.
        rank: number of columns that the new adapter has in every module.
        bound: largest `change` allowed.
        change: largest relative change of a module's weights, |W' - W| / |W - W0| in Frobenius norms.
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
