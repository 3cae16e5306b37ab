"""Lets clients do all they can with a server and an executor, and samples meanwhile what these two hold.

Server, executor and clients are processes of their own. Memories live briefly, so that what they hold in common shows
and not what each memory holds: a client creates a memory, uses it in every way, checks it, deletes it, and goes on with
the next one. What the processes hold must then not grow.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from statistics import median
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.serve.calls import percentile
from benchmarks.serve.hosts import hosting
from benchmarks.soak.life import Life, Spec
from benchmarks.soak.samples import MEASURES, Sample, look
from benchmarks.soak.slopes import fit
from benchmarks.soak.tally import Tally
from benchmarks.support.place import Place, state_of
from benchmarks.support.processes import ask, process
from benchmarks.support.provenance import commit, machine
from benchmarks.support.tiny import make
from core.ids import MemoryId
from service.app.store import open_store
from service.app.verification import verify
from service.log_setup import configure
from service.settings import Settings
from service.weights.live_models import LiveModels
from service.weights.torch_setup import prepare_torch

CLIENTS = 4
LIFE = 40  # operations of a memory; so many memories live that caches of memories are full after the warm-up
WARM = 0.3  # share of the time that is not counted
CACHE_BYTES = 2**18  # of weights, so that caches are full soon
HOUR, THOUSAND = 3600.0, 1000.0
SLOPE_LIMIT = 0.1  # MiB in a thousand operations
COUNT_LIMIT = 3.0  # files and threads more at the end than after the warm-up
SAMPLES = 300  # of a run
BEGIN, END = "begin", "end"  # the first and the last fifth of what is counted
SERVER, EXECUTOR = "server", "executor"

Progress = Callable[[float, float, str], None]


@dataclass
class Reports:
    """What clients report.

    Attributes:
        ended: (when, kind, seconds) of each operation, by `time.monotonic`.
        errors: number by what went wrong.
        left: the memory that each client has left behind, and what it was told.
    """

    ended: list[tuple[float, str, float]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    left: list[dict[str, Any]] = field(default_factory=list)

    def follow(self, client: Popen[str]) -> None:
        """Reads the reports of a client until its last one."""
        assert client.stdout is not None
        for line in client.stdout:
            report, now = json.loads(line), time.monotonic()
            self.errors.update(report["errors"])
            self.ended += [(now, kind, each) for kind, taken in report["seconds"].items() for each in taken]
            if report.get("ended"):
                self.left += [report["left"]] if report["left"] else []
                return
        self.errors["a client has died"] += 1


def run(
    *,
    minutes: float = 10.0,
    clients: int = CLIENTS,
    seed: int = 1,
    quick: bool = False,
    life: int = LIFE,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Yields a document with rows of processes and the disk, operations by kind, errors, and the verdicts of the bars.

    Args:
        clients: processes that work at the same time.
        seed: of what clients do.
        quick: half a minute alone.
        life: operations of each memory.
    """
    configure("auto", "error")
    prepare_torch(Settings(torch_threads=1))
    seconds = 30.0 if quick else minutes * 60
    settings = {
        "minutes": seconds / 60, "clients": clients, "seed": seed, "life": life, "commit": commit(),
        "machine": machine(),
    }  # fmt: skip
    with TemporaryDirectory(prefix="hypnogram-bench-") as name:
        place = Place(Path(name))
        base = make(place.folder / "base")
        reports, samples = Reports(), list[Sample]()
        with ExitStack() as stack:
            host = stack.enter_context(
                hosting(place, threads=1, HYPNOGRAM_LIVE_BYTES=str(CACHE_BYTES), HYPNOGRAM_PAST_BYTES=str(CACHE_BYTES))
            )
            executor = stack.enter_context(process("service.cli.main", "executor", **_environment(place)))
            processes = {SERVER: host.process, EXECUTOR: executor.pid}
            remembers = find_spec("spacy") is not None
            specs = [
                Spec(host.address, host.http, str(base), number, seed, remembers, life) for number in range(clients)
            ]
            progress(0, seconds, "beginning")
            Life(Spec(host.address, host.http, str(base), clients, seed, remembers, life), 0, Tally()).begin()
            started = [
                stack.enter_context(process("benchmarks.soak.client", json.dumps(asdict(spec)))) for spec in specs
            ]
            followers = [threading.Thread(target=reports.follow, args=(client,), daemon=True) for client in started]
            for follower in followers:
                follower.start()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                time.sleep(seconds / SAMPLES)
                samples.append(look(processes, place.folder, began, len(reports.ended)))
                progress(passed, seconds, f"{len(reports.ended)} operations, {reports.errors.total()} errors")
                yield _document(settings, samples, reports, began)
            for client in started:
                ask(client, "end")
            for follower in followers:
                follower.join()
        progress(seconds, seconds, "verifying")
        yield _document(settings, samples, reports, began, list(_faults(place, reports)))


def _environment(place: Place) -> dict[str, str]:
    settings = place.settings()
    return {
        "HYPNOGRAM_DATABASE_URL": settings.database_url,
        "HYPNOGRAM_ARTIFACT_FOLDER": str(settings.artifact_folder),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(settings.snapshot_folder),
        "HYPNOGRAM_TORCH_THREADS": "1",
        "HYPNOGRAM_LOG_LEVEL": "error",
    }


def _faults(place: Place, reports: Reports) -> Iterator[str]:
    """Yields what is not stored as it was told, or cannot be verified, once all processes have ended."""
    settings = place.settings()
    with open_store(settings) as store:
        models = LiveModels(store.log, store.artifacts, store.snapshots, settings)
        verified = verify(store, models, skip_weights=False, progress=lambda *_: None, cancelled=lambda: False)
        if verified.fault is not None:
            yield verified.fault.message
        for left in reports.left:
            state = state_of(store, MemoryId(left["memory"]))
            if set(state.facts) != {fact for fact, *_ in left["told"]}:
                yield f"{left['memory']} holds other facts than it was told"
            for fact, subject, object_, erased in left["told"]:
                kept = state.facts.get(fact)
                if kept is not None and not erased and (kept.fact.subject, kept.fact.object) != (subject, object_):
                    yield f"a fact of {left['memory']} has other words than it was told with"


def _document(
    settings: dict[str, Any],
    samples: Sequence[Sample],
    reports: Reports,
    began: float,
    faults: Sequence[str] = (),
) -> dict[str, Any]:
    seconds = settings["minutes"] * 60
    rows = _rows([sample for sample in samples if sample.seconds >= WARM * seconds])
    operations = _operations(list(reports.ended), began + WARM * seconds, began + seconds)
    errors = [{"error": error, "number": number} for error, number in reports.errors.most_common()]
    errors += [{"error": fault, "number": 1} for fault in faults]
    return {
        "bench": "soak", "settings": settings, "rows": rows, "operations": operations, "errors": errors,
        "bars": verdicts(rows, errors),
    }  # fmt: skip


def _rows(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Returns a row for each thing that was sampled: its medians in the first and the last fifth, and its slopes."""
    rows = []
    for (of, measure), _ in samples[0].values.items() if samples else ():
        values = [sample.values[of, measure] for sample in samples]
        fifth = max(len(values) // 5, 1)
        hourly = fit([sample.seconds / HOUR for sample in samples], values)
        each = fit([sample.operations / THOUSAND for sample in samples], values)
        row = {
            "of": of, "measure": measure, "unit": MEASURES.get(measure, "MiB"), "begin": median(values[:fifth]),
            "end": median(values[-fifth:]),
        }  # fmt: skip
        for name, fitted in (("an_hour", hourly), ("a_thousand", each)):
            if not isnan(fitted.slope):  # which samples were too few for
                row |= {name: fitted.slope, f"{name}_low": fitted.low, f"{name}_high": fitted.high}
        rows.append(row)
    return rows


def _operations(ended: Sequence[tuple[float, str, float]], first: float, last: float) -> list[dict[str, Any]]:
    """Returns a row for each kind: how many have ended in all, and milliseconds in the first and the last fifth."""
    fifth = (last - first) / 5
    all_of_it = Counter(kind for _, kind, _ in ended)
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for at, kind, seconds in ended:
        if first <= at < first + fifth:
            taken[kind, BEGIN].append(seconds)
        elif last - fifth <= at < last:
            taken[kind, END].append(seconds)
    return [
        {"operation": kind, "number": number}
        | {
            f"p{round(share * 100)}_{when}": percentile(taken[kind, when], share) * 1000
            for share in (0.5, 0.99)
            for when in (BEGIN, END)
            if taken[kind, when]
        }
        for kind, number in sorted(all_of_it.items())
    ]


def verdicts(rows: Sequence[dict[str, Any]], errors: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdicts of the bars: memory does not grow, files, threads and children do not, and nothing fails."""
    bars = []
    for row in rows:
        name = f"{row['of']}, {row['measure']}"
        if row["measure"] == "RSS" and "a_thousand" in row:
            passes = row["a_thousand"] <= SLOPE_LIMIT or row["a_thousand_low"] <= 0
            bars.append((f"{name}, MiB in a thousand operations", row["a_thousand"], SLOPE_LIMIT, passes))
        elif not row["unit"]:
            grown = row["end"] - row["begin"]
            bars.append((f"{name}, more at the end", grown, COUNT_LIMIT, grown <= COUNT_LIMIT))
    failed = sum(error["number"] for error in errors)
    bars.append(("errors, and facts that are not there once", failed, 0, not failed))
    return [
        {"bar": bar, "value": value, "limit": limit, "verdict": "PASS" if passes else "MISS"}
        for bar, value, limit, passes in bars
    ]
