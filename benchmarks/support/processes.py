"""Starts modules of this project as processes, talks to them through standard input and output, and kills them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Yields a process that runs `python -m ARGUMENTS`; kills it at the end of the block."""
    started = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def line_of(started: subprocess.Popen[str]) -> str:
    """The next line that the process prints."""
    assert started.stdout is not None
    line = started.stdout.readline()
    assert line, "the process has died"
    return line.strip()


def ask(started: subprocess.Popen[str], line: str) -> None:
    """Writes `line` to the standard input of the process."""
    assert started.stdin is not None
    started.stdin.write(line + "\n")
    started.stdin.flush()
