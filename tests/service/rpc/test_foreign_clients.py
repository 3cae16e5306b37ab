"""Clients that share no code with us: buf by reflection, and grpc-js from the protos. Needs npm, as CI has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proto.generate import PROTO, write_includes
from tests.patience import PATIENCE
from tests.service.conftest import DEMO, Running

FOREIGN = Path(__file__).parents[2] / "foreign"
BUILD = Path(__file__).parents[3] / "build" / "foreign"


def run(*command: object, **environment: str) -> str:
    """Standard output of `command`; what it complained about is the failure."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def modules() -> Path:
    """Where the packages of `tests/foreign/package.json` are; installed there the first time."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have node and npm")
        pytest.skip("node and npm are not installed, and foreign clients need them")
    import fcntl

    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes may come at once
        wanted = (FOREIGN / "package.json").read_text()
        installed = BUILD / "node_modules" / "package.json"
        if not installed.exists() or installed.read_text() != wanted:
            (BUILD / "package.json").write_text(wanted)
            run("npm", "install", "--prefix", BUILD, "--no-audit", "--no-fund", "--ignore-scripts")
            installed.write_text(wanted)
    return BUILD


@pytest.fixture
def includes(tmp_path: Path) -> Path:
    folder = tmp_path / "includes"
    write_includes(folder)
    return folder


def curl(modules: Path, server: Running, method: str, request: dict[str, Any]) -> Any:
    answer = run(
        modules / "node_modules" / ".bin" / "buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge",
        "-d", json.dumps(request), f"http://{server.address}/{method}",
        BUF_CACHE_DIR=str(modules / "cache"),
    )  # fmt: skip
    return json.loads(answer)


def test_buf_adds_a_fact_by_reflection_and_reads_its_lineage(modules: Path, demo: Running) -> None:
    fact = {"subject": "Aria Voss", "relation": "lives in", "object": "Lisbon"}
    added = curl(modules, demo, "hypnogram.v1.Facts/AddFacts", {"memory": DEMO, "request_id": "buf", "facts": [fact]})
    demo.work()
    lineage = curl(
        modules,
        demo,
        "hypnogram.v1.Facts/GetLineage",
        {"memory": DEMO, "fact": added["results"][0]["fact"]["fact"]},
    )

    assert added["version"] == "3"
    assert [one["event"]["type"] for one in lineage["entries"]][1:] == ["FactAdded", "EditComputed", "FactInjected"]
    assert lineage["entries"][1]["event"]["payload"]["statement"]["object"] == "Lisbon"


def test_grpc_js_adds_a_fact_and_reads_its_lineage(modules: Path, demo: Running, includes: Path) -> None:
    script = FOREIGN / "client.mjs"
    told = json.loads(
        run("node", script, demo.address, DEMO, PROTO, includes, FOREIGN_MODULES=str(modules / "node_modules"))
    )

    assert told["events"] == ["FactAdded"]
    assert (told["version"], told["object"], told["refused"]) == (3, "Lisbon", "INVALID_ARGUMENT")
    assert demo.client.fact(DEMO, told["fact"]).fact.subject == "Juno Script"


def test_the_contract_passes_bufs_lint(modules: Path, includes: Path, tmp_path: Path) -> None:
    shutil.copy(FOREIGN / "buf.yaml", tmp_path)
    shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))

    run(modules / "node_modules" / ".bin" / "buf", "lint", tmp_path, BUF_CACHE_DIR=str(modules / "cache"))
