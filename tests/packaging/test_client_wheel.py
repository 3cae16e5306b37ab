"""The wheel of `hypnogram-client` holds stubs and client alone, and its quickstart runs without a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.wheels import ROOT, build, environment, install, server, top_level

LARGEST = 512 * 1024  # bytes of the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT / "proto", tmp_path_factory.mktemp("client-wheel"))


def project(file: str) -> dict[str, Any]:
    values: dict[str, Any] = tomllib.loads((ROOT / file).read_text())["project"]
    return values


def test_the_wheel_is_small_and_claims_one_import_name(wheel: Path) -> None:
    assert top_level(wheel) == {"hypnogram"}
    assert wheel.stat().st_size < LARGEST


def test_both_distributions_have_one_version_and_need_the_same_grpc() -> None:
    client, service = project("proto/pyproject.toml"), project("pyproject.toml")

    assert client["version"] == service["version"]
    assert set(client["dependencies"]) <= set(service["dependencies"])


def test_the_page_of_the_client_runs_as_it_stands_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    """Both quickstarts of the page, one after the other, on a server of the checkout."""
    install(wheel, tmp_path / "installed")
    page = (ROOT / "docs" / "client.md").read_text()
    threads, tasks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert len(threads.splitlines()) <= 10
    serve = [sys.executable, "-m", "service.cli.main", "serve"]

    with server(serve, tmp_path, os.environ | {"PYTHONPATH": str(ROOT)}) as address:
        first, second = (run(program, address, tmp_path) for program in (threads, tasks))

    assert "Lisbon" in first.splitlines()[1]
    assert first.splitlines()[2] == "Aria Voss lives in Lisbon"
    assert second.splitlines() == [first.splitlines()[1], "NOT_FOUND MEMORY_UNKNOWN"]


def run(program: str, address: str, folder: Path) -> str:
    """What a program of the page prints, in a process that has no checkout; torch must not be loaded in the end."""
    end = "\nimport sys\nassert not {'torch', 'sqlalchemy', 'core', 'service'} & sys.modules.keys()\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program.replace("127.0.0.1:50051", address) + end],
        cwd=folder,
        env=environment(folder / "installed"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
