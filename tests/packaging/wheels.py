"""Builds and installs the project's distributions without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(project: Path, folder: Path) -> Path:
    """Builds the wheel of `project` into `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, target: Path) -> None:
    """Unpacks a wheel of Python files, which is all that an installer does with it, but for scripts."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def top_level(wheel: Path) -> set[str]:
    """The names that the wheel claims among the installed packages, without its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    return {name for name in names if not name.endswith(".dist-info")}


def environment(target: Path) -> dict[str, str]:
    """An environment in which Python finds `target` and the installed dependencies, and no checkout.

    The interpreter runs with -S, so that the .pth file of an editable install is not read.
    """
    packages = [path for path in sys.path if Path(path).name == "site-packages"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HYPNOGRAM_", "PYTHON"))}
    return kept | {"PYTHONPATH": os.pathsep.join([str(target), *packages])}


@contextmanager
def server(command: Sequence[str], folder: Path, surroundings: Mapping[str, str]) -> Iterator[str]:
    """Runs `command`, which serves on a free port with its data in `folder`; yields its address."""
    settings = {
        "HYPNOGRAM_CONFIG": os.devnull,
        "HYPNOGRAM_DATABASE_URL": f"sqlite:///{folder}/hypnogram.db",
        "HYPNOGRAM_ARTIFACT_FOLDER": str(folder / "artifacts"),
        "HYPNOGRAM_SNAPSHOT_FOLDER": str(folder / "snapshots"),
        "HYPNOGRAM_PORT": "0",
    }
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env={**surroundings, **settings}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as running,
    ):
        assert running.stdout is not None
        try:
            line = running.stdout.readline()
            assert line.startswith("listening on "), (folder / "server.log").read_text()
            yield line.split()[-1]
        finally:
            running.terminate()
