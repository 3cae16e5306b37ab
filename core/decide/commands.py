"""Commands to a memory: from clients, which ask for a change, and from executors, which record finished work."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.deletion import MemoryPurged
from core.events.facts import EditComputed
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import AdapterTrained, ControlsMeasured, FactAudited
from core.extraction.candidates import Candidate
from core.facts import Fact, Origin, Source
from core.ids import ConversationKey, Digest, EventId, FactId, MemoryId, SleepId
from core.policy import SleepPolicy
from core.remember import Remember
from core.state.memory import Memory
from core.state.work import Erase, EraseTexts, Purge, Read, SleepStep, Withdraw, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMemory:
    """Create a memory with these settings."""

    memory: MemoryId
    created: MemoryCreated


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """One fact of an `AddFacts`, under the id it will have if it is new; `origin` is that of its wordings."""

    fact: Fact
    source: Source
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFacts:
    """Add facts; `core/state/work.py` says when an executor writes them into the weights."""

    request: str
    request_digest: Digest
    facts: tuple[NewFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatistics:
    """An executor measured the base model."""

    prepared: StatisticsPrepared


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """An executor could not do `work`."""

    work: Work
    reason: str
    message: str
    retry: bool  # whether another attempt can succeed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInjection:
    """An executor wrote the facts that the columns of `edit` name, and could not write those of `failures`."""

    edit: EditComputed
    failures: tuple[RecordFailure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSleep:
    """Start a sleep or a nap, for a client or by the memory's schedule. Fields as in `SleepStarted`."""

    sleep: SleepId
    kind: str
    trigger: str
    policy: SleepPolicy
    seed: int
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSleep:
    """Roll back the sleep in progress."""

    sleep: SleepId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAudit:
    """An executor probed facts in an audit, or at the gate if `controls` is None."""

    work: SleepStep
    audited: tuple[FactAudited, ...]
    controls: ControlsMeasured | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefresh:
    """An executor wrote degraded facts again."""

    work: SleepStep
    edit: EditComputed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTraining:
    """An executor trained an adapter."""

    work: SleepStep
    adapter: AdapterTrained


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRescale:
    """An executor built the weights at the scales that follow from the gate; `weights` is their digest."""

    work: SleepStep
    weights: Digest
    key_occupancy: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEnd:
    """An executor found that a sleep has no step left."""

    work: SleepStep


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkCheckpoint:
    """Name `version`, at which the weights have the digest `weights`."""

    memory: MemoryId
    name: str
    version: int
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkMemory:
    """Create `memory` as a fork of `parent`.

    Attributes:
        at: state of the parent at the version of the fork.
        hash: hash of the parent's event at that version.
        whole: nearest versions at which an append ended, one not after that version and one not before it.
    """

    memory: MemoryId
    parent: MemoryId
    at: Memory
    hash: Digest
    whole: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersedeFact:
    """Put `new`, of the same subject and relation, in the place of `fact`."""

    memory: MemoryId
    fact: FactId
    new: NewFact
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractFact:
    """Retract a fact. Fields as in `FactRetracted`."""

    memory: MemoryId
    fact: FactId
    reason: str
    erase: bool
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFacts:
    """Retry work that failed for good: that of `fact`, or of every fact if `fact` is None."""

    memory: MemoryId
    fact: FactId | None
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWithdrawal:
    """An executor took a fact out of the weights; `edit` is the counter-edit, if one was needed."""

    work: Withdraw
    withdrawn: FactWithdrawn
    edit: EditComputed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordErasure:
    """An executor destroyed the data key of a fact. Fields as in `FactErased`."""

    work: Erase
    remains: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCompaction:
    """Several adapters were compacted into one."""

    compacted: AdaptersCompacted


@dataclass(frozen=True, slots=True, kw_only=True)
class RebaseMemory:
    """Look for the files of the memory's base model under another name; they must have the same digest."""

    memory: MemoryId
    name: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMemory:
    """Delete the memory, its words and its deltas."""

    memory: MemoryId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPurge:
    """An executor destroyed what only the deleted memory needed."""

    work: Purge
    purged: MemoryPurged


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Say something to a memory, as a user; `key` is that of the conversation if this begins it."""

    memory: MemoryId
    conversation: str
    key: ConversationKey
    text: str
    remember: Remember


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReply:
    """A reply of the model has ended. Fields as in `ModelReplied`."""

    memory: MemoryId
    conversation: str
    to: int
    text: str
    version: int
    weights: Digest
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseConversation:
    """Erase the texts of a conversation and, with `facts`, the facts that were learned from it.

    Attributes:
        last: number of its last turn; nothing is done once there is a later one, or while one is to be read. None for a
            conversation that is closed in any case.
    """

    memory: MemoryId
    conversation: str
    facts: bool
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A candidate of a turn.

    Attributes:
        words: the words that state it.
        new: the fact that it is, if it is accepted; if it may end facts, what has the id and source of a successor.
            Otherwise None.
    """

    candidate: Candidate
    words: str
    new: NewFact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReading:
    """An executor read a turn of a user.

    Attributes:
        client: who speaks.
        said: the event that holds its text.
        heard: what it may state, in the order of the text.
        taken_back: words that take back what was said before them; empty for none.
        taken_back_at: the first character of these words.
        forgotten: words that say to forget what they ask for, "forget where I live", each with the words that ask.
        corrects: whether the turn says that what it states takes the place of what was said before.
        spare: ids of facts that are there again, once others are taken back.
    """

    work: Read
    said: EventId
    heard: tuple[Heard, ...]
    taken_back: str = ""
    taken_back_at: int = 0
    forgotten: tuple[tuple[str, str], ...] = ()
    corrects: bool = False
    client: str = ""
    spare: tuple[FactId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTextsErased:
    """An executor destroyed the data key of a conversation."""

    work: EraseTexts


ClientCommand = (
    CreateMemory
    | AddFacts
    | StartSleep
    | CancelSleep
    | MarkCheckpoint
    | ForkMemory
    | SupersedeFact
    | RetractFact
    | RetryFacts
    | RebaseMemory
    | DeleteMemory
    | Say
    | RecordReply
    | CloseConversation
)

ExecutorCommand = (
    RecordStatistics
    | RecordInjection
    | RecordFailure
    | RecordAudit
    | RecordRefresh
    | RecordTraining
    | RecordRescale
    | RecordEnd
    | RecordWithdrawal
    | RecordErasure
    | RecordCompaction
    | RecordPurge
    | RecordReading
    | RecordTextsErased
)

Command = ClientCommand | ExecutorCommand
