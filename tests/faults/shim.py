"""Runs `failing.py` with calls of the C library made to fail below Python and SQLite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KINDS = ("read", "write", "sync", "rename", "open")  # numbered from 1 as in shim.c


def compiler() -> str | None:
    """A C compiler for a system on which calls can be taken over; None where there is none."""
    return (shutil.which("cc") or shutil.which("gcc")) if sys.platform == "linux" else None


def built(folder: Path) -> Path:
    """The library that is preloaded, compiled into `folder`."""
    library = folder / "shim.so"
    command = [compiler() or "cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(Path(__file__).parent / "shim.c")]
    subprocess.run([*command, "-ldl"], check=True)
    return library


def lives(
    library: Path, kind: str, below: str = "", stride: int = 1, lasting: bool = False
) -> Iterator[dict[str, Any]]:
    """One row a life: `n`, whether a step `failed`, and what was `lost`; the n-th call of `kind` failed in it.

    Args:
        below: only calls on files whose names in the store's folder begin so: `artifacts`, `hypnogram.db`.
        stride: distance from one n to the next, beginning with 1.
        lasting: whether all later calls of the kind fail, too, until the fault is gone.
    """
    memory = Path("/dev/shm")  # where nothing waits for a disk
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    if os.access(memory, os.W_OK):
        environment["TMPDIR"] = str(memory)
    command = [sys.executable, "-m", "tests.faults.failing", kind, below, str(stride), str(int(lasting))]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
        finally:
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"tests.faults.failing ended with {process.returncode}")
