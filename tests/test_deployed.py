"""What `deploy/compose.yaml` starts, as processes: its commands, with its environment and that of the image.

Where there is a container engine, the file itself says how to build and start it.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.databases import postgresql, schema_of
from tests.patience import PATIENCE, eventually

__all__ = ["postgresql"]

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
STATE = "/var/lib/hypnogram"  # in the image
HYPNOGRAM = [sys.executable, "-m", "service.cli.main"]


def environment(url: str, folder: Path, port: int) -> dict[str, str]:
    """That of a container, but for its files, its database and its port over gRPC."""
    block = re.findall(r"^ENV (.*?[^\\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE | re.DOTALL)[-1]
    image = dict(word.split("=", 1) for word in block.replace("\\\n", " ").split())
    named = SERVICES["server"]["environment"]
    assert named == SERVICES["executor"]["environment"]
    assert url.startswith(named["HYPNOGRAM_DATABASE_URL"].partition("//")[0])
    given = {name: value.replace(STATE, str(folder)) for name, value in {**image, **named}.items() if name != "PATH"}
    return {**os.environ, **given, "HYPNOGRAM_DATABASE_URL": url, "HYPNOGRAM_PORT": str(port)}


def here(arguments: list[str], http: int) -> list[str]:
    """The arguments of a container on this machine, where its port may be taken."""
    return [word.replace("0.0.0.0", "127.0.0.1").replace(":8000", f":{http}") for word in arguments]


@contextmanager
def started(arguments: list[str], given: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([*HYPNOGRAM, *arguments], env=given)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(arguments: list[str], given: dict[str, str]) -> str:
    done = subprocess.run([*HYPNOGRAM, *arguments], env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_ports() -> list[int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return [listener.getsockname()[1] for listener in (first, second)]


def test_the_services_do_together_what_a_client_asks(postgresql: str, tmp_path: Path) -> None:
    # given what compose starts, in its order: a database, a server that becomes healthy, an executor
    grpc, http = free_ports()
    given = environment(schema_of(postgresql), tmp_path, grpc)
    health = here(SERVICES["server"]["healthcheck"]["test"][1:], http)
    with started(here(SERVICES["server"]["command"], http), given) as server:
        asking = [sys.executable, *health[1:]]

        def is_healthy() -> bool:
            assert server.poll() is None
            return subprocess.run(asking, capture_output=True, check=False).returncode == 0

        eventually(is_healthy)
        with started(here(SERVICES["executor"]["command"], http), given) as executor:
            # and the token of the comment
            token = re.findall(r"exec server hypnogram (token .*)$", COMPOSE, re.MULTILINE)[0]
            client = {**given, "HYPNOGRAM_TOKEN": said(shlex.split(token), given).split()[-1]}

            # when a client creates a memory and tells a fact, then it is written and answered
            said(["memory", "create", "demo"], client)
            said(["fact", "add", "Aria Voss", "lives in", "Lisbon", "--timeout", str(PATIENCE)], client)
            assert "Lisbon" in said(["chat", "Where does Aria Voss live?"], client)

            # when the engine stops them, then they end by themselves, within its grace period
            for process in (executor, server):
                process.terminate()
                assert process.wait(float(SERVICES["server"]["stop_grace_period"].removesuffix("s"))) == 0
