"""Measures losses under faults: kill -9, failing disks, a second process, clocks that jump, two servers and executors.

The base model has random weights: the log, the artifacts, servers and executors are tested, and with a small model
faults hit more of their steps. On a real model, processes are killed in nights.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.kills import clocks, kills_, second_
from benchmarks.faults.nights import killed_nights
from benchmarks.faults.servers import servers
from benchmarks.faults.tally import Tally
from service.log_setup import configure
from service.settings import Settings
from service.weights.torch_setup import prepare_torch

Progress = Callable[[int, int, str], None]

PARTS = ("kills", "io", "second", "clock", "disk", "servers")


def run(
    *,
    kills: int = 1000,
    second: int = 200,
    events: int = 5000,
    stride: int = 1,
    only: Sequence[str] = PARTS,
    model: str = "",
    progress: Progress = lambda done, total, what: None,
) -> Iterator[dict[str, Any]]:
    """Rows `what, tried, survived, lost, why`; `why` only where something was lost, or nothing tried.

    Args:
        kills: number of kill -9, divided among telling, sleeping, erasing and importing.
        second: erasures after which a second process opens and closes the database.
        events: number of events that each writer appends.
        stride: calls from one failing call to the next.
        model: a real model, on which processes are killed in nights alone, whatever `only` says.
    """
    parts: dict[str, Callable[[Path], Iterator[Tally]]] = {
        "kills": lambda folder: kills_(folder, kills),
        "io": lambda _: failing_calls(stride),
        "second": lambda folder: second_(folder, second),
        "clock": clocks,
        "disk": lambda _: full_disk(stride),
        "servers": lambda folder: servers(folder, events),
    }
    if model:
        parts, only = {"kills": lambda folder: killed_nights(folder, kills, model)}, ("kills",)
    settings = {
        "kills": kills, "second": second, "events": events, "stride": stride, "only": list(only), "model": model,
    }  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    configure("json", "error")  # failures are intended here
    prepare_torch(Settings())
    for part in only:
        with tempfile.TemporaryDirectory(prefix="hypnogram-bench-", ignore_cleanup_errors=True) as name:
            progress(0, 0, f"preparing {part}")
            for tally in parts[part](Path(name)):
                rows[tally.what] = tally.row()
                progress(tally.tried, tally.total, tally.what)
                yield {"bench": "faults", "settings": settings, "rows": list(rows.values())}


def failing_calls(stride: int) -> Iterator[Tally]:
    """Runs a fixed history in which the n-th call of the C library fails, for every n; a row for each kind of call."""
    for kind in ("read", "write", "sync", "rename", "open"):
        yield from _lives(Tally(f"n-th {kind} fails"), kind, stride)


def full_disk(stride: int) -> Iterator[Tally]:
    """Runs the same history on a disk that is full from the n-th write on, and is freed later."""
    yield from _lives(Tally("disk full from the n-th write on, then freed"), "write", stride, lasting=True)


def _lives(tally: Tally, kind: str, stride: int, lasting: bool = False) -> Iterator[Tally]:
    try:
        shim = importlib.import_module("tests.faults.shim")
    except ModuleNotFoundError:
        tally.why = "skipped: the script is part of the repository's tests, which are not installed"
    else:
        if shim.compiler() is None:
            tally.why = "skipped: calls of the C library are taken over by a library in C; needs Linux and gcc"
    yield tally
    if tally.why:
        return
    with tempfile.TemporaryDirectory(prefix="hypnogram-bench-") as name:
        for life in shim.lives(shim.built(Path(name)), kind, "", stride, lasting):
            tally.add(life["lost"])
            yield tally
