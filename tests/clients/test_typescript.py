"""The TypeScript client talks to a real server over grpc-js."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import DEMO, Running

CLIENT = Path(__file__).parents[2] / "clients" / "ts"
PATIENCE = 600  # seconds


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder of the client, with its packages, generated types and JavaScript."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    with (CLIENT / ".gitignore").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # because several workers would install into one folder
        if not (CLIENT / "node_modules" / ".package-lock.json").exists():
            installed = _npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
            if installed.returncode:
                pytest.skip(f"the packages of the TypeScript client cannot be had: {installed.stderr[-200:]}")
        made = _npm("run", "build")
        assert made.returncode == 0, made.stdout + made.stderr
    return CLIENT


def _npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", *arguments], cwd=CLIENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def conversation(client: Path, address: str, *arguments: str) -> dict[str, Any]:
    ran = subprocess.run(
        ["node", "test/conversation.mjs", address, *arguments],
        cwd=client,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_a_program_tells_asks_lists_watches_and_retracts(built: Path, demo: Running) -> None:
    said = conversation(built, demo.address, DEMO)

    assert said["listed"] == ["Lisbon", "a baker"]
    assert said["answer"] == "say it again "
    assert said["finish"] == "FINISH_STOP"
    assert said["asked"].strip() == "hello"
    assert said["status"] == "STATUS_WITHDRAWN"
    assert said["memory"] == DEMO
    assert said["events"] == demo.client.memory(DEMO).version
    fact = next(iter(demo.client.facts(DEMO)))
    assert fact.object == "Lisbon"
    assert {event.actor for event in demo.client.events(DEMO)} >= {"typescript"}


def test_a_failure_says_what_the_server_said(built: Path, demo: Running) -> None:
    said = conversation(built, demo.address, DEMO)

    assert said["unknown"]["code"] == "NOT_FOUND"
    assert said["unknown"]["reason"] == "MEMORY_UNKNOWN"
    assert said["unknown"]["metadata"] == {"memory": "nosuch"}
    assert "create it" in said["unknown"]["message"]
    assert said["invalid"]["code"] == "INVALID_ARGUMENT"
    assert list(said["invalid"]["fields"]) == ["facts[0].subject"]
