"""The state of a memory: a projection of its log, folded by `core/evolve/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from core.events.facts import Columns
from core.events.history import MemoryForked
from core.events.memory import NO_TEXT, MemoryCreated, StatisticsPrepared
from core.facts import Fact, Origin, Source
from core.ids import AdapterId, Digest, EditId, FactId, SleepId
from core.state.conversations import Conversation, UnreadTurn
from core.state.sleep import Sleep
from core.texts import same_words
from core.unchanged import Unchanged


class Status(StrEnum):
    """How far a fact has come."""

    PENDING = "pending"  # in the log, not yet in the weights
    INJECTED = "injected"  # carried by an edit
    DISSOLVED = "dissolved"  # carried by adapters alone
    PARKED = "parked"  # could not be written; `failure` says why
    WITHDRAWN = "withdrawn"  # retracted and not in the weights; a counter-edit may be in force


class Withdrawal(StrEnum):
    """How a retracted or superseded fact left the weights."""

    NEVER_WRITTEN = "never written"  # it was never in them
    COLUMNS = "columns"  # its columns went out of force; nothing was computed on top of them
    COUNTER_EDIT = "counter-edit"  # a counter-edit in force makes the model answer as its base model does
    UNLEARNED = "unlearned"  # adapters have unlearned it, and its counter-edit is dissolved
    SUPERSEDED = "superseded"  # the edit of its successor took its place


@dataclass(frozen=True, slots=True, kw_only=True)
class FactState:
    """A fact and its status.

    Attributes:
        added: version of its FactAdded.
        origin: where its wordings come from; None where the log does not say.
        stage, scale: stage in the dissolution schedule, and share of its columns in the weights, 0 to 1.
        edits: edits whose columns carry this fact, at `scale`; for a withdrawn fact, its counter-edit.
        failures, failure: number of failed attempts at its pending work, and the message of the last one.
        healthy: verdict of its last audit; None before the first.
        known_to_base: whether the base model says it without the memory, by the last audit.
        retracted: version at which it was retracted or superseded; 0 if it is live.
        successor, predecessor: the fact that superseded it, and the one that it superseded.
        withdrawal: how it left the weights; None if it has not.
        erase, erased: whether its words are to be destroyed, and whether they are.
        said: how often clients and users said it.
    """

    fact: Fact
    source: Source
    added: int
    origin: Origin | None = None
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
    said: int = 1

    @property
    def in_weights(self) -> bool:
        """Whether an edit or adapters carry it."""
        return self.status in (Status.INJECTED, Status.DISSOLVED)

    @property
    def awaits_withdrawal(self) -> bool:
        """Whether it is retracted but still in the weights."""
        return bool(self.retracted) and self.in_weights

    @property
    def carried_by_edit(self) -> bool:
        """Whether an edit or counter-edit carries it and a sleep can probe it, for which it needs the fact's words.

        A withdrawn fact that is to be erased does not count, because its words may be gone before the log says so.
        """
        return bool(self.edits) and not self.erased and not (self.erase and self.status is Status.WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The delta of an edit in force, and the fact of each of its columns."""

    id: EditId
    delta: Digest
    modules: tuple[str, ...]
    columns: tuple[Columns, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A trained adapter in force.

    Attributes:
        rank: columns in every module.
        version: version of its training; of the last training if it was compacted from several.
        facts: facts that it was trained on.
        columns: those of each fact, which leave the weights with it; empty where all facts share all columns.
    """

    id: AdapterId
    delta: Digest
    modules: tuple[str, ...]
    rank: int
    version: int
    facts: tuple[FactId, ...] = ()
    columns: tuple[Columns, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A named version and the digest of its weights; `marked` is the version of the event that named it."""

    name: str
    version: int
    weights: Digest | None
    marked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An accepted request, kept so that a retry of it is idempotent.

    Attributes:
        digest: SHA-256 of its content; empty once one of its facts is erased, because anyone who can guess the words
            could confirm them by the digest. Then only the other fields tell requests apart.
        facts: facts that it added, retried or retracted.
        repeated: facts of a request that added none because the memory had them all, in the order of the request; such
            a request never has a digest.
        retracts, retries: whether it retracted a fact, and whether it retried failed work.
        sleep: sleep that it started.
    """

    digest: Digest
    facts: tuple[FactId, ...] = ()
    repeated: tuple[FactId, ...] = ()
    retracts: bool = False
    retries: bool = False
    sleep: SleepId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A sleep or nap that has ended.

    Attributes:
        kind, trigger: as in `SleepStarted`.
        began, ended: versions of its first and of its last event.
        completed: False if it was rolled back.
        reason: remark of a completed sleep, or why it was rolled back.
    """

    kind: str
    trigger: str
    began: int
    ended: int
    completed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What a rollback of the sleep in progress restores: fields of `Memory` at `version`, right before the sleep."""

    version: int
    facts: Mapping[FactId, FactState]
    pending_withdrawal: Mapping[FactId, None]
    edits: Mapping[EditId, Edit]
    adapters: Mapping[AdapterId, Adapter]
    weights: Digest | None
    key_occupancy: float
    unchanged: Unchanged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The state of one memory at `version`. The mappings `pending...` are ordered sets: their values are None.

    Attributes:
        failures, failure: number of failed attempts at work that is not about a fact (statistics, purge), and the
            message of the last one.
        pending: facts to be written, in the order they were added.
        pending_withdrawal: retracted or superseded facts that are still in the weights.
        pending_erasure: facts whose words are to be destroyed.
        by_statement: live fact of each subject and relation, keyed by `statement_key`.
        requests: accepted requests by their id.
        edits, adapters: those in force; all others are dropped.
        weights: digest of the edited modules; None until the base weights were measured.
        key_occupancy: share of the key space that keys in force occupy, 0 to 1.
        unchanged: locality by the last measurement; None if the weights have changed since.
        sleep, undo: the sleep in progress, and what rolling it back restores.
        nights: sleeps and naps that have ended.
        slept: version at which the last sleep completed; 0 for none.
        checkpoints: named versions.
        forked: the memory and version this one was forked from; None if it was created.
        deleted, purged: version of its deletion (0 for none), and whether its words and deltas are destroyed.
        begun: last version of a deleted memory that had the same name; 0 for none.
        conversations: by their names.
        unread: turns of users that are to be read, in order.
        closing: conversations whose texts are to be erased, in order.
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
    key_occupancy: float = 0.0
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
    conversations: Mapping[str, Conversation] = field(default_factory=lambda: MappingProxyType({}))
    unread: tuple[UnreadTurn, ...] = ()
    closing: tuple[str, ...] = ()

    @property
    def reference_text(self) -> Digest:
        """The artifact of the reference text in force; empty while the base model has not generated it yet."""
        given = self.created.reference_text if self.created else NO_TEXT
        return given or (self.statistics.reference_text if self.statistics else NO_TEXT)


NOTHING = Memory()


def needed(memory: Memory) -> list[FactId]:
    """Returns the facts whose words and columns are still needed: all but those that have left the weights for good."""
    return [
        fact for fact, state in memory.facts.items() if state.status is not Status.WITHDRAWN or state.carried_by_edit
    ]


def trained_on(memory: Memory, fact: FactId) -> tuple[AdapterId, ...]:
    """Returns the adapters in force whose columns are shared by the facts that they were trained on, `fact` too."""
    return tuple(adapter.id for adapter in memory.adapters.values() if fact in adapter.facts and not adapter.columns)


def learned(memory: Memory, fact: FactId) -> bool | None:
    """Returns whether the edits in force make the model say `fact` in all wordings that they were computed on.

    None if no edit carries it.
    """
    state = memory.facts[fact]
    carrying = [columns for edit in state.edits for columns in memory.edits[edit].columns if columns.fact == fact]
    return all(columns.learned for columns in carrying) if carrying and state.in_weights else None


def statement_key(subject: str, relation: str) -> tuple[str, str]:
    """Returns the key of `Memory.by_statement` for `subject` and `relation`."""
    return same_words(subject), same_words(relation)


def replaced_by(memory: Memory, fact: FactId) -> tuple[FactId, ...]:
    """Returns the facts whose columns the edit of `fact` puts out of force.

    They are the fact that it supersedes, and withdrawn facts about the same subject and relation, because their
    counter-edits would work against the new edit.
    """
    new = memory.facts[fact]
    key = statement_key(new.fact.subject, new.fact.relation)
    replaced = [new.predecessor] if new.predecessor is not None and memory.facts[new.predecessor].in_weights else []
    for edit in memory.edits.values():
        old = edit.columns[0].fact  # a counter-edit is for one fact
        state = memory.facts[old]
        has_counter_edit = state.status is Status.WITHDRAWN and edit.id in state.edits
        if has_counter_edit and old != fact and statement_key(state.fact.subject, state.fact.relation) == key:
            replaced.append(old)
    return tuple(replaced)
