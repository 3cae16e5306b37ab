"""What Prometheus reads: calls, answers, memories, disk, GPU and process."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from core.events.facts import EditComputed
from core.ids import MemoryId
from core.state.false_fires import false_fires
from core.state.memory import Memory
from service.rpc.server import Served
from service.settings import Settings
from store.database.executors import Executors

READ_SECONDS = 2.0  # of a scrape for states, after which the other memories wait for the next one
SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)  # buckets of latencies


class Metrics:
    """The metrics of one server."""

    def __init__(self, settings: Settings, served: Served) -> None:
        self._registry = CollectorRegistry()
        ends = ("call", "code")
        self._calls = Counter("hypnogram_calls", "Calls that ended, over gRPC and HTTP.", ends, registry=self._registry)
        self._seconds = Histogram(
            "hypnogram_call_seconds", "Seconds that calls took.", ("call",), buckets=SECONDS, registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Server(settings, served))
        self._registry.register(_Memories(served))

    def observe(self, call: str, code: str, seconds: float) -> None:
        """Counts a call that ended."""
        self._calls.labels(call, code).inc()
        self._seconds.labels(call).observe(seconds)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Returns all metrics in a form that a scraper accepts, and the type of that form. Blocking."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


class _Server(Collector):
    """Measures the server itself when it is asked."""

    def __init__(self, settings: Settings, served: Served) -> None:
        self._artifacts = settings.artifact_folder
        self._engine = served.parts.store.log.engine
        self._executors = Executors(self._engine)
        self._limits = served.door.limits
        self._models = served.parts.models
        self._readiness = served.parts.readiness

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("hypnogram_answers_running", "Answers that are being generated.", self._limits.running)
        waiting = "Memories whose weights are proven once they change or are asked for."
        yield _gauge("hypnogram_memories_waiting", waiting, self._readiness.waiting)
        alive = float(self._executors.any_alive())
        yield _gauge("hypnogram_executor_alive", "1 where an executor works on the database, in any process.", alive)
        disk = GaugeMetricFamily("hypnogram_disk_bytes", "Bytes that are stored.", labels=["part"])
        disk.add_metric(["database"], self._database_bytes())
        disk.add_metric(["artifacts"], _bytes_in(self._artifacts))
        yield disk
        folder = next(folder for folder in (self._artifacts, *self._artifacts.parents) if folder.exists())
        yield _gauge("hypnogram_disk_free_bytes", "Bytes that are free for artifacts.", shutil.disk_usage(folder).free)
        if (held := self._models.gpu_bytes()) is not None:
            gpu = GaugeMetricFamily("hypnogram_gpu_bytes", "Bytes of the server's GPU.", labels=["part"])
            for part, number in zip(("server", "free"), held, strict=True):
                gpu.add_metric([part], number)
            yield gpu

    def _database_bytes(self) -> float:
        if self._engine.dialect.name == "postgresql":
            with self._engine.connect() as connection:
                return float(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        file = str(self._engine.url.database)
        return sum(os.stat(part).st_size for part in (file, f"{file}-wal") if os.path.exists(part))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is shown of the state of a memory."""

    occupancy: float
    facts: dict[tuple[str, str], int]  # number by status and stage
    owed: dict[str, int]
    recall: float | None  # None before the first audit
    contamination: dict[str, float]  # by whom answers are about
    false_fires: float
    edit: int  # version of the newest edit; 0 for none
    fact_seconds: float | None = None  # of that edit


class _Memories(Collector):
    """Reads the states of memories when it is asked, and between two times of those alone that have changed.

    It reads for `READ_SECONDS` each time and shows what it has read by then, so that the first times do not wait for
    the logs of thousands of memories. Versions need no state, and are shown at once.
    """

    def __init__(self, served: Served) -> None:
        self._log = served.parts.store.log
        self._states = served.parts.states
        self._versions: dict[MemoryId, int] = {}
        self._seen: dict[MemoryId, _Seen] = {}
        self._unread: dict[MemoryId, None] = {}  # those that have changed, in this order
        self._position = 0
        self._lock = threading.Lock()  # because two scrapers may ask at the same time

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily("hypnogram_memory_version", "Version of a memory.", labels=["memory"])
        occupancy = GaugeMetricFamily("hypnogram_key_occupancy", "Share of the key space in use.", labels=["memory"])
        names = ["memory", "status", "stage"]
        facts = GaugeMetricFamily("hypnogram_facts", "Facts by status and stage.", labels=names)
        owed = GaugeMetricFamily("hypnogram_owed", "Work that executors owe, by kind.", labels=["memory", "work"])
        recall = GaugeMetricFamily("hypnogram_recall", "Share of audited facts that were healthy.", labels=["memory"])
        said = "Share of other answers that say a told object, measured on the newest weights."
        contamination = GaugeMetricFamily("hypnogram_contamination", said, labels=["memory", "about"])
        fires = "Responses of neurons to other text, in a million tokens, by their certificates."
        false = GaugeMetricFamily("hypnogram_false_fires", fires, labels=["memory"])
        took = "Seconds a fact that the newest edit took."
        seconds = GaugeMetricFamily("hypnogram_fact_seconds", took, labels=["memory"])
        versions, newest = self._newest()
        for memory, number in versions.items():
            version.add_metric([memory], number)
        for memory, seen in newest.items():
            occupancy.add_metric([memory], seen.occupancy)
            for (status, stage), number in seen.facts.items():
                facts.add_metric([memory, status, stage], number)
            for work, number in seen.owed.items():
                owed.add_metric([memory, work], number)
            if seen.recall is not None:
                recall.add_metric([memory], seen.recall)
            for about, share in seen.contamination.items():
                contamination.add_metric([memory, about], share)
            false.add_metric([memory], seen.false_fires)
            if seen.fact_seconds is not None:
                seconds.add_metric([memory], seen.fact_seconds)
        yield from (version, occupancy, facts, owed, recall, contamination, false, seconds)
        unread = "Memories whose states are to be read by later scrapes."
        yield _gauge("hypnogram_memories_unread", unread, len(self._unread))

    def _newest(self) -> tuple[dict[MemoryId, int], dict[MemoryId, _Seen]]:
        with self._lock:
            for listed in reversed(self._log.moved(self._position)):  # the most recent last, so that none is left out
                if listed.deleted:
                    self._versions.pop(listed.memory, None)
                    self._seen.pop(listed.memory, None)
                    self._unread.pop(listed.memory, None)
                else:
                    self._versions[listed.memory] = listed.version
                    self._unread[listed.memory] = None
                self._position = listed.position
            until = time.monotonic() + READ_SECONDS
            while self._unread:
                memory = next(iter(self._unread))
                self._seen[memory] = self._read(memory)
                del self._unread[memory]
                if time.monotonic() >= until:
                    break
            return dict(self._versions), dict(self._seen)

    def _read(self, memory: MemoryId) -> _Seen:
        seen, before = _seen(self._states.current(memory)), self._seen.get(memory)
        if not seen.edit:
            return seen
        if before is not None and before.edit == seen.edit:
            return replace(seen, fact_seconds=before.fact_seconds)
        (recorded,) = self._log.read(memory=memory, after_version=seen.edit - 1, limit=1)
        computed = recorded.event
        assert isinstance(computed, EditComputed)
        return replace(seen, fact_seconds=computed.seconds / len(computed.columns))


def _seen(state: Memory) -> _Seen:
    audited = [fact.healthy for fact in state.facts.values() if fact.in_weights and fact.healthy is not None]
    measured = state.unchanged.contamination if state.unchanged else None
    return _Seen(
        occupancy=state.key_occupancy,
        facts=dict(Counts((fact.status.value, str(fact.stage)) for fact in state.facts.values())),
        owed={
            "statistics": int(state.statistics is None),
            "inject": len(state.pending),
            "withdraw": len(state.pending_withdrawal),
            "erase": len(state.pending_erasure),
            "read": len(state.unread),
            "sleep": int(state.sleep is not None),
        },
        recall=sum(audited) / len(audited) if audited else None,
        contamination={
            "strangers": measured.strangers,
            "namesakes": measured.namesakes,
            "untold": measured.untold,
        }
        if measured
        else {},
        false_fires=false_fires(state),
        edit=max((edit.version for edit in state.edits.values()), default=0),
    )


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value=value)


def _bytes_in(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # removed meanwhile
                total += os.stat(os.path.join(path, name)).st_size
    return total
