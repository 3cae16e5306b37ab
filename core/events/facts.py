"""Events of facts on their way into the weights. See `core.events` for the rules of all events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from core.facts import Fact, Source
from core.ids import Digest, EditId, FactId
from core.unchanged import Unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAdded:
    """A client stated a fact. `request_digest` covers the whole request, so that a reused id can be told."""

    SEALED: ClassVar[tuple[str, ...]] = (
        "statement",
        "source",
        "request_digest",
    )  # who guesses the words has the digest

    fact: FactId
    statement: Fact
    source: Source
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a delta that belong to one fact, and how its writing went.

    Attributes:
        first, count: columns `first .. first + count - 1` of the delta, the same in every module.
        scale: share of them in the weights from this event on; an edit and its weights change at one version.
        keys: how many keys of this fact now constrain other edits.
        residual: norm of the wanted change of the hidden state, relative to the clean state.
        absorbed: share of that change which the written weights produce at the fact's keys.
        learned: whether the optimised value made the object the greedy answer in every context.
        more: names of its sites beside those that the pristine model gets wrong.
    """

    fact: FactId
    first: int
    count: int
    keys: int
    residual: float
    absorbed: float
    learned: bool
    scale: float = 1.0
    more: tuple[str, ...] = ()


class EditKind(StrEnum):
    """What an edit was computed for."""

    INJECTION = "injection"  # to write new facts
    REFRESH = "refresh"  # to write degraded facts again, in a sleep
    WITHDRAWAL = "withdrawal"  # a counter-edit, which makes the model answer as its base model does


@dataclass(frozen=True, slots=True, kw_only=True)
class EditComputed:
    """A delta exists and is in force from this version on.

    `modules` are those the delta changes; `statistics` and `facts_in_force` (how many facts constrained it) are what
    a recomputation needs beside the events before this one; `crowding` is the share of the key space that keys in
    force hold with it. Columns that carried its facts before go out of force, and so do those that carried `replaced`,
    which are withdrawn: the facts that its own supersede, and those whose counter-edits gainsay them. `unchanged` says
    how everything else is answered with it, by a few questions; None where none was asked.
    """

    edit: EditId
    kind: EditKind
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    statistics: Digest
    facts_in_force: int
    weights_before: Digest
    weights_after: Digest
    crowding: float
    seconds: float
    replaced: tuple[FactId, ...] = ()
    unchanged: Unchanged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactInjected:
    """This fact is carried by that edit from this version on, at `stage` and `scale`."""

    fact: FactId
    edit: EditId
    stage: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFailed:
    """An executor could not do a piece of work. `parked` facts wait for somebody to look; others are retried."""

    work: str  # "prepare_statistics", "inject", "withdraw", "erase", or the step of a sleep
    facts: tuple[FactId, ...]
    attempt: int
    reason: str
    message: str
    parked: bool
