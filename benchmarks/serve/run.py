"""Measures a server from outside: chats beside plain generation, calls of many clients, and what memories cost it.

Servers are processes of their own, and the executor does not run in them, so that nothing is written meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from benchmarks.serve.calls import latencies, percentile
from benchmarks.serve.chats import Rate, plain, served
from benchmarks.serve.hosts import Host, hosting, make
from benchmarks.support.provenance import commit, machine
from core.weights.model.editable_model import load_model
from service.log_setup import configure
from service.settings import DORMOUSE, Settings
from service.weights.describe_base import base_of
from service.weights.torch_setup import prepare_torch

SHIPPED = "dormouse"
ONE_STREAM, BATCHED, SERVING = "one stream, share of plain generation", "eight streams, of one", "seconds to SERVING"
MIB = 2**20
LOOK = 0.5  # seconds between two looks at a process

Progress = Callable[[float, float, str], None]


def run(
    *,
    model: str = "smollm2",
    streams: Sequence[int] = (1, 8, 32),
    memories: Sequence[int] = (1, 32),
    clients: int = 64,
    sizes: Sequence[int] = (1, 100),
    tokens: int = 64,
    seconds: float = 20.0,
    threads: int = 1,
    calls: int = 20,
    quiet: float = 3.0,
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Yields documents with rows `measure, memories, streams, value, unit`, and the verdicts of the bars.

    Args:
        memories: numbers of memories that chats and calls are spread over.
        sizes: numbers of memories whose start and idle cost are measured.
        tokens: most tokens of an answer.
        seconds: for which each rate is measured, at least.
        threads: of torch, in the server and in plain generation.
        calls: of each client and kind.
        quiet: seconds without work after which a server counts as idle.
    """
    configure("auto", "error")
    prepare_torch(Settings(torch_threads=threads))
    settings = {
        "model": model, "streams": list(streams), "memories": list(memories), "clients": clients,
        "sizes": list(sizes), "tokens": tokens, "seconds": seconds, "threads": threads,
    }  # fmt: skip
    name = "" if model == SHIPPED else model
    rows: list[dict[str, Any]] = []
    steps = 1 + len(memories) + len(sizes)

    def add(measure: str, value: float, unit: str, memories: int = 0, streams: int = 0) -> None:
        row = {"measure": measure, "memories": memories, "streams": streams, "value": value, "unit": unit}
        rows.append(row | {"commit": commit(), "machine": machine()})

    with TemporaryDirectory(prefix="hypnogram-bench-") as folder:
        progress(0, steps, "plain generation")
        base = load_model(DORMOUSE if not name else base_of(Settings(), name, "", "", "")[1])
        for number in streams:
            rate = plain(base, streams=number, tokens=tokens, seconds=seconds)
            _add_rate(add, "plain generation", rate, 0, number)
        del base
        yield _document(settings, rows)
        for step, many in enumerate(memories, 1):
            progress(step, steps, f"chats and calls on {many} memories")
            place = make(Path(folder) / f"chats-{many}", name, many, prepared=not name)
            with hosting(place, threads=threads, HYPNOGRAM_MAX_STREAMS=str(max(streams))) as host:
                for number in streams:
                    rate = served(host, streams=number, memories=many, tokens=tokens, seconds=seconds)
                    _add_rate(add, "chat", rate, many, number)
                    yield _document(settings, rows)
                for call, taken in latencies(host, clients, many, calls).items():
                    add(f"{call}, p50", percentile(taken, 0.5) * 1000, "ms", many, clients)
                    add(f"{call}, p99", percentile(taken, 0.99) * 1000, "ms", many, clients)
            yield _document(settings, rows)
        for step, size in enumerate(sizes, 1 + len(memories)):
            progress(step, steps, f"a server of {size} memories")
            place = make(Path(folder) / f"size-{size}", name, size, prepared=not name)
            with hosting(place, threads=threads, executor=True) as host:
                add(SERVING, host.seconds, "s", size)
                add("seconds until it is idle", _idle_after(host, quiet), "s", size)
                add("RSS, idle", host.rss() / MIB, "MiB", size)
                add("CPU, idle", _cpu_share(host, seconds), "share of a core", size)
                for path in ("/v1/models", "/metrics"):
                    add(f"GET {path}, first", _got(host, path), "s", size)
                    add(f"GET {path}, second", _got(host, path), "s", size)
            yield _document(settings, rows)


def _add_rate(add: Callable[..., None], what: str, rate: Rate, memories: int, streams: int) -> None:
    add(what, rate.tokens_per_second, "tokens/s", memories, streams)
    add(what, rate.answers_per_second, "answers/s", memories, streams)


def _got(host: Host, path: str) -> float:
    began = time.monotonic()
    with urlopen(f"{host.http}{path}", timeout=600) as answer:
        answer.read()
    return time.monotonic() - began


def _idle_after(host: Host, quiet: float, share: float = 0.1) -> float:
    """Returns the seconds until a server has taken less than `share` of a core for `quiet` seconds, at most 600."""
    began, used, since = time.monotonic(), host.cpu_seconds(), time.monotonic()
    while time.monotonic() - since < quiet and time.monotonic() - began < 600:
        time.sleep(LOOK)
        now = host.cpu_seconds()
        if now - used > share * LOOK:
            since = time.monotonic()
        used = now
    return since - began


def _cpu_share(host: Host, seconds: float) -> float:
    used = host.cpu_seconds()
    time.sleep(seconds)
    return (host.cpu_seconds() - used) / seconds


def _document(settings: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bench": "serve", "settings": settings, "rows": rows, "bars": verdicts(rows)}


def verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdicts of the bars whose values were measured."""
    rates = {
        (row["measure"], row["memories"], row["streams"]): row["value"] for row in rows if row["unit"] == "tokens/s"
    }
    bars = []
    for (measure, memories, streams), rate in rates.items():
        if measure != "chat":
            continue
        if streams == 1 and (alone := rates.get(("plain generation", 0, 1))):
            bars.append((f"{ONE_STREAM}, {memories} memories", rate / alone, 0.95, True))
        if streams == 8 and (first := rates.get(("chat", memories, 1))):
            bars.append((f"{BATCHED}, {memories} memories", rate / first, 3.0, True))
    serving = [row for row in rows if row["measure"] == SERVING]
    bars += [(f"{SERVING}, {row['memories']} memories", row["value"], 10.0, False) for row in serving[-1:]]
    return [
        {
            "bar": bar,
            "value": value,
            "limit": limit,
            "verdict": "PASS" if (value >= limit if least else value <= limit) else "MISS",
        }
        for bar, value, limit, least in bars
    ]
