"""The examples run as programs against a real server on dormouse, whose executor writes what they tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.serve.hosts import hosting
from benchmarks.support.place import Place
from tests.prepared import bases, prepared

__all__ = ["bases", "prepared"]

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = EXAMPLES.parent
PATIENCE = 900  # seconds
OTHERS = {"openai_chat": "openai", "langchain_chat": "langchain_openai", "mcp_agent": "mcp"}


def ran(example: str, environment: dict[str, str]) -> str:
    """What an example prints."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{example}.py")],
        env=os.environ | environment | {"PYTHONPATH": paths, "LANGSMITH_TRACING": "false"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def told(prepared: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """Where a server is whose memory the first example has told, and what that printed."""
    pytest.importorskip("uvicorn", reason="the HTTP port needs the extra `web`")
    place = prepared.copy(tmp_path_factory.mktemp("examples") / "place")
    with hosting(place, threads=1, executor=True) as host:
        environment = {"HYPNOGRAM_ADDRESS": host.address, "HYPNOGRAM_URL": host.http}
        yield environment, ran("python_client", environment)


def test_the_python_client_tells_and_asks(told: tuple[dict[str, str], str]) -> None:
    lines = dict(line.partition(": ")[::2] for line in told[1].splitlines())

    assert "Lisbon" not in lines["before"]
    assert "Lisbon" in lines["after"]
    assert lines["as it was"] == lines["before"]
    assert "NOT_FOUND MEMORY_UNKNOWN memory 'nosuch' does not exist" in told[1]


@pytest.mark.parametrize("example", OTHERS)
def test_other_clients_find_the_fact(told: tuple[dict[str, str], str], example: str) -> None:
    pytest.importorskip(OTHERS[example], reason=f"{OTHERS[example]} is not installed")

    said = ran(example, told[0])

    assert "Lisbon" in said
    assert "demo@" in said


def test_every_example_is_listed_and_run() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert names == {"python_client", *OTHERS}
    assert all(f"| `{name}.py` |" in table for name in names)
