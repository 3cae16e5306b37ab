"""Looks at processes from outside: memory, open files, threads, children; and at what lies on the disk."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
MEASURES = {
    "RSS": "MiB",
    "RSS, anonymous": "MiB",
    "open files": "",
    "threads": "",
    "child processes": "",
}  # of a process, with their units
PARTS = {"database": "hypnogram.db", "WAL": "hypnogram.db-wal", "artifacts": "artifacts", "snapshots": "snapshots"}
_SIZES = re.compile(r"^(VmRSS|RssAnon|Threads):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one time.

    Attributes:
        seconds: since the first operation.
        operations: that clients have ended by then.
        values: by (process or "disk", measure).
    """

    seconds: float
    operations: int
    values: dict[tuple[str, str], float]


def look(processes: dict[str, int], folder: Path, began: float, operations: int) -> Sample:
    """Samples `processes`, by their names, and the folder of the database. Raises FileNotFoundError where one ended."""
    values: dict[tuple[str, str], float] = {}
    for name, process in processes.items():
        values |= {(name, measure): value for measure, value in _of(process).items()}
    values |= {("disk", part): _bytes(folder / path) / MIB for part, path in PARTS.items()}
    return Sample(time.monotonic() - began, operations, values)


def _of(process: int) -> dict[str, float]:
    root = Path(f"/proc/{process}")
    sizes = {key: int(value) for key, value in _SIZES.findall((root / "status").read_text())}
    children = 0
    for task in (root / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            children += len((task / "children").read_text().split())
    return {
        "RSS": sizes["VmRSS"] / 1024,
        "RSS, anonymous": sizes["RssAnon"] / 1024,
        "open files": len(os.listdir(root / "fd")),
        "threads": sizes["Threads"],
        "child processes": children,
    }


def _bytes(path: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):  # it does not exist yet, or was removed meanwhile
        total += path.stat().st_size if path.is_file() else 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
