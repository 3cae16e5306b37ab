"""What somebody wants: clients create and add, executors record what they did."""

from __future__ import annotations

from dataclasses import dataclass

from core.events import EditComputed, MemoryCreated, StatisticsPrepared
from core.facts import Fact, Source
from core.ids import Digest, MemoryId
from core.work import Work


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


Command = CreateMemory | AddFacts | RecordStatistics | RecordInjection | RecordFailure
