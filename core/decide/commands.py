"""What somebody wants: clients create and add, executors record what they did."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.deletion import MemoryPurged
from core.events.facts import EditComputed
from core.events.history import AdaptersCompacted, FactWithdrawn
from core.events.memory import MemoryCreated, StatisticsPrepared
from core.events.sleep import AdapterTrained, ControlsMeasured, FactAudited
from core.facts import Fact, Source
from core.ids import Digest, FactId, MemoryId, SleepId
from core.policy import SleepPolicy
from core.state.memory import Memory
from core.state.work import Erase, Purge, SleepStep, Withdraw, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMemory:
    memory: MemoryId
    created: MemoryCreated


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldFact:
    """One fact of an `AddFacts`, under the id it will have if it is new."""

    fact: Fact
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFacts:
    request: str
    request_digest: Digest
    facts: tuple[ToldFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatistics:
    prepared: StatisticsPrepared


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInjection:
    """An executor wrote facts; `edit` says how, its columns which."""

    edit: EditComputed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """An executor could not do `work`."""

    work: Work
    reason: str
    message: str
    retry: bool  # whether trying again can help


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSleep:
    """A client, or the memory's schedule, wants a sleep or a nap. Fields as in `SleepStarted`."""

    sleep: SleepId
    kind: str
    trigger: str
    policy: SleepPolicy
    seed: int
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSleep:
    """Undo the sleep in progress."""

    sleep: SleepId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAudit:
    """An executor probed facts; without `controls`, at the gate."""

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
    """An executor built the weights at the scales that the gate gives; `weights` is their digest."""

    work: SleepStep
    weights: Digest
    crowding: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEnd:
    """Nothing is left to do in a sleep."""

    work: SleepStep


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkCheckpoint:
    """Give `version`, at which the weights have the digest `weights`, a name."""

    memory: MemoryId
    name: str
    version: int
    weights: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkMemory:
    """Let the new memory `memory` begin as `parent` was in the state `at`, whose last event has the hash `hash`.

    `whole` holds the versions nearest to it, one not newer and one not older, that end what was recorded at once.
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
    new: ToldFact
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractFact:
    """Take a fact back. Fields as in `FactRetracted`."""

    memory: MemoryId
    fact: FactId
    reason: str
    erase: bool
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFacts:
    """Try again what executors gave up: about `fact`, or about every fact where that is None."""

    memory: MemoryId
    fact: FactId | None
    request: str
    request_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWithdrawal:
    """An executor took a fact out of the weights; `edit` is the counter-edit, if it took one."""

    work: Withdraw
    withdrawn: FactWithdrawn
    edit: EditComputed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordErasure:
    """The data key of a fact is gone."""

    work: Erase
    remains: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCompaction:
    """One adapter was made of several."""

    compacted: AdaptersCompacted


@dataclass(frozen=True, slots=True, kw_only=True)
class RebaseMemory:
    """From now on, look for the files of the memory's base, which were found to be the same, under another name."""

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
)

Command = ClientCommand | ExecutorCommand
