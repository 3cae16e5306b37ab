"""Keeps what a measurement has done, so that the same command goes on after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.real.answers import write_whole
from benchmarks.support.provenance import ROOT
from service.settings import cache_home

CODE = (
    "core",
    "service/executor",
    "service/weights",
    "benchmarks/real",
    "benchmarks/support",
)  # what a result depends on


class Unfinished:
    """The folder of a measurement that has not ended: its rows, and its memories.

    It belongs to the arguments and to the code that measures, so that rows of two versions are never mixed.

    Args:
        name: of the benchmark.
        arguments: everything that the rows depend on.
        beside: folders of code that they depend on, beside `CODE`.
    """

    def __init__(self, name: str, arguments: dict[str, Any], beside: Sequence[str] = ()) -> None:
        key = hashlib.sha256(json.dumps([arguments, _code(beside)], sort_keys=True).encode()).hexdigest()
        self._folder = cache() / f"{name}-{key[:16]}"
        self._path = self._folder / "rows.json"
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.rows: list[dict[str, Any]] = kept.get("rows", [])
        self._seconds: dict[str, list[float]] = kept.get("seconds", {})

    def row(self, **keys: Any) -> dict[str, Any] | None:
        """Returns the row that has these values, if it was measured."""
        return next((row for row in self.rows if keys.items() <= row.items()), None)

    def add(self, row: dict[str, Any]) -> None:
        """Records a row."""
        self.rows.append(row)
        self._write()

    def seconds(self, arm: str) -> list[float]:
        """Returns the seconds of each fact that an arm has told."""
        return self._seconds.setdefault(arm, [])

    def told(self, arm: str, seconds: float) -> None:
        """Records that an arm has told one fact."""
        self.seconds(arm).append(seconds)
        self._write()

    def memory(self, arm: str) -> Path:
        """Returns the folder of the memory of an arm."""
        folder = self._folder / arm
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self, arm: str) -> None:
        """Removes the memory of an arm whose rows are all recorded."""
        shutil.rmtree(self._folder / arm, ignore_errors=True)

    def end(self) -> None:
        """Removes everything, because the measurement has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        write_whole(self._path, json.dumps({"rows": self.rows, "seconds": self._seconds}))


def cache() -> Path:
    """Returns the folder of what benchmarks keep; its loss costs only time."""
    return cache_home() / "bench"


def _code(beside: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for folder in (*CODE, *beside):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
