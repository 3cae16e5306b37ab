"""The state of a memory: everything its log says. `core/evolve/` folds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from core.events.facts import Columns
from core.events.history import MemoryForked
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.facts import Fact, Source
from core.ids import AdapterId, Digest, EditId, FactId, SleepId
from core.state.sleep import Sleep
from core.texts import same_words
from core.unchanged import Unchanged


class Status(StrEnum):
    PENDING = "pending"  # durable in the log, not yet in the weights
    INJECTED = "injected"  # carried by an edit
    DISSOLVED = "dissolved"  # carried by adapters alone
    PARKED = "parked"  # could not be written; the last failure says why
    WITHDRAWN = "withdrawn"  # taken back and out of the weights, or never in them; a counter-edit may be in force


class Withdrawal(StrEnum):
    """How a fact that was taken back left the weights."""

    NEVER_WRITTEN = "never written"  # it never was in them
    COLUMNS = "columns"  # its columns went out of force, and that was all there was of it
    COUNTER_EDIT = "counter-edit"  # a counter-edit in force makes the model answer as the pristine one does
    UNLEARNED = "unlearned"  # adapters have unlearned it, and its counter-edit dissolved
    SUPERSEDED = "superseded"  # the edit of its successor answers instead


@dataclass(frozen=True, slots=True, kw_only=True)
class FactState:
    """A fact and how far it has come.

    Attributes:
        edits: whose columns of this fact are in force, at `scale`; once it is withdrawn, its counter-edit.
        healthy: the verdict of its last audit; None before the first.
        known_to_base: whether the base model says it by itself, as far as audits have asked.
        retracted: the version at which it was taken back or superseded; 0 while it stands.
        successor, predecessor: the fact that superseded it, and the one that it superseded.
        withdrawal: how it left the weights; None while it has not.
        erase, erased: whether its words shall be destroyed, and whether they are.
    """

    fact: Fact
    source: Source
    added: int  # the version that added it
    status: Status = Status.PENDING
    stage: int = 0
    scale: float = 0.0
    edits: tuple[EditId, ...] = ()
    failures: int = 0
    failure: str = ""
    healthy: bool | None = None
    known_to_base: bool = False
    retracted: int = 0
    successor: FactId | None = None
    predecessor: FactId | None = None
    withdrawal: Withdrawal | None = None
    erase: bool = False
    erased: bool = False

    @property
    def in_weights(self) -> bool:
        """Whether the weights carry it, by an edit or by adapters."""
        return self.status in (Status.INJECTED, Status.DISSOLVED)

    @property
    def awaits_withdrawal(self) -> bool:
        """Whether it was taken back and the weights carry it still."""
        return bool(self.retracted) and self.in_weights

    @property
    def carried_by_edit(self) -> bool:
        """Whether nights move it on: an edit carries it, or a counter-edit its absence, and there are words to ask.

        Those of a withdrawn fact that shall be erased may be gone before the log says so.
        """
        return bool(self.edits) and not self.erased and not (self.erase and self.status is Status.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A delta in force, and whose its columns are."""

    id: EditId
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A trained adapter in force; `version` is that of its training, the last one where it stands for several."""

    id: AdapterId
    delta: Digest
    modules: tuple[str, ...]
    rank: int
    version: int
    facts: tuple[FactId, ...] = ()  # trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A named version and the digest of its weights; `marked` is the version that named it."""

    name: str
    version: int
    weights: Digest | None
    marked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was accepted: the facts it added or tried again, the one it took back, or the sleep it started.

    `digest` is that of its content; empty once a fact of it was erased, as it could confirm a guess of the words. All
    that is known of the request then is whether it `retracts` or `retries`, and its facts. `repeated` are the facts, in
    its order, of a request that added none because the memory knew them all; it never has a digest.
    """

    digest: Digest
    facts: tuple[FactId, ...] = ()
    repeated: tuple[FactId, ...] = ()
    retracts: bool = False
    retries: bool = False
    sleep: SleepId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A sleep or nap that has ended: at version `ended`, `completed` or rolled back, and why."""

    kind: str
    trigger: str
    began: int
    ended: int
    completed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What the sleep in progress would give back: the facts, plan and measures of the version before it."""

    version: int
    facts: Mapping[FactId, FactState]
    pending_withdrawal: Mapping[FactId, None]
    edits: Mapping[EditId, Edit]
    adapters: Mapping[AdapterId, Adapter]
    weights: Digest | None
    crowding: float
    unchanged: Unchanged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything the log says about one memory up to `version`.

    Attributes:
        failures, failure: attempts that failed at what the memory as a whole is owed (its statistics, its purge), and
            what the last one said.
        pending: facts that wait to be written, in the order they were added.
        pending_withdrawal: retracted or superseded facts that the weights still carry.
        pending_erasure: facts whose words are to be destroyed.
        by_statement: the live fact of a subject and relation, as `statement_key` compares them.
        weights: digest of the edited modules; None until the base weights were measured.
        crowding: share of the key space that keys in force occupy.
        unchanged: how other questions were answered when last asked; None if the weights have changed since.
        sleep, undo: the sleep in progress, and what rolling it back restores.
        slept: version at which the last sleep completed.
        checkpoints: versions by name.
        forked: the memory and version this one came from; None if it was created.
        deleted, purged: version of its deletion (0 for none), and whether its words and deltas are destroyed.
        begun: last version of a deleted memory that had the same name.
    """

    version: int = 0
    created: MemoryCreated | None = None
    statistics: StatisticsPrepared | None = None
    failures: int = 0
    failure: str = ""
    facts: Mapping[FactId, FactState] = field(default_factory=lambda: MappingProxyType({}))
    pending: Mapping[FactId, None] = field(default_factory=lambda: MappingProxyType({}))
    pending_withdrawal: Mapping[FactId, None] = field(default_factory=lambda: MappingProxyType({}))
    pending_erasure: Mapping[FactId, None] = field(default_factory=lambda: MappingProxyType({}))
    by_statement: Mapping[tuple[str, str], FactId] = field(default_factory=lambda: MappingProxyType({}))
    requests: Mapping[str, Request] = field(default_factory=lambda: MappingProxyType({}))
    edits: Mapping[EditId, Edit] = field(default_factory=lambda: MappingProxyType({}))
    adapters: Mapping[AdapterId, Adapter] = field(default_factory=lambda: MappingProxyType({}))
    weights: Digest | None = None
    crowding: float = 0.0
    unchanged: Unchanged | None = None
    sleep: Sleep | None = None
    undo: Undo | None = None
    nights: Mapping[SleepId, Night] = field(default_factory=lambda: MappingProxyType({}))
    slept: int = 0
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    forked: MemoryForked | None = None
    deleted: int = 0
    purged: bool = False
    begun: int = 0


NOTHING = Memory()


def needed(memory: Memory) -> list[FactId]:
    """The facts whose words and columns `memory` has to read yet: all but those that have left for good."""
    return [
        fact for fact, state in memory.facts.items() if state.status is not Status.WITHDRAWN or state.carried_by_edit
    ]


def learned(memory: Memory, fact: FactId) -> bool | None:
    """Whether the model could be made to say `fact` in all wordings that its edits in force were written on.

    None where no edit carries it.
    """
    state = memory.facts[fact]
    own = [columns for edit in state.edits for columns in memory.edits[edit].columns if columns.fact == fact]
    return all(columns.learned for columns in own) if own and state.in_weights else None


def statement_key(subject: str, relation: str) -> tuple[str, str]:
    """Under which key a live fact about `subject` and `relation` is found."""
    return same_words(subject), same_words(relation)


def replaced_by(memory: Memory, fact: FactId) -> tuple[FactId, ...]:
    """Whose columns shall go out of force as soon as `fact` is written; its edit records them.

    The fact it supersedes, and withdrawn ones about the same subject and relation: their counter-edits gainsay it.
    """
    new = memory.facts[fact]
    key = statement_key(new.fact.subject, new.fact.relation)
    found = [new.predecessor] if new.predecessor is not None and memory.facts[new.predecessor].in_weights else []
    for edit in memory.edits.values():
        old = edit.columns[0].fact  # a counter-edit is for one fact
        state = memory.facts[old]
        counters = state.status is Status.WITHDRAWN and edit.id in state.edits
        if counters and old != fact and statement_key(state.fact.subject, state.fact.relation) == key:
            found.append(old)
    return tuple(found)
