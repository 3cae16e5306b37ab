"""What somebody wants: clients create and add, executors record what they did."""

from __future__ import annotations

from dataclasses import dataclass

from core.events import EditComputed, MemoryCreated, StatisticsPrepared
from core.facts import Fact, Source
from core.ids import Digest, MemoryId, SleepId
from core.policy import SleepPolicy
from core.sleep_events import AdapterTrained, ControlsMeasured, FactAudited
from core.work import SleepStep, Work


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


Command = (
    CreateMemory
    | AddFacts
    | RecordStatistics
    | RecordInjection
    | RecordFailure
    | StartSleep
    | CancelSleep
    | RecordAudit
    | RecordRefresh
    | RecordTraining
    | RecordRescale
    | RecordEnd
)
