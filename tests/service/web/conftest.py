"""A server with an HTTP port, and OpenAI's own client of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import httpx
import pytest
from openai import OpenAI

from service.settings import Settings
from tests.service.conftest import DEMO, Running, run_server
from tests.service.parrot import Parrot

FREE_PORT = "127.0.0.1:0"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of gRPC and HTTP that has the memory `demo`, with its statistics prepared."""
    folder = tmp_path_factory.mktemp("web")
    settings = Settings(
        database_url=f"sqlite:///{folder}/hypnogram.db",
        artifact_folder=folder / "artifacts",
        snapshot_folder=folder / "snapshots",
        port=0,
        http=FREE_PORT,
        max_message_bytes=64 * 1024,
        stop_seconds=1,
    )
    with run_server(settings) as running:
        running.client.create_memory(DEMO)
        running.work()
        yield running


@pytest.fixture
def web(shared: Running) -> Running:
    """The server that tests of a module share, with a parrot that no earlier test has changed."""
    fresh = Parrot(states=shared.states)
    for switch in fields(fresh):
        setattr(shared.parrot, switch.name, getattr(fresh, switch.name))
    return shared


@pytest.fixture
def openai(web: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{web.http}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def http(web: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.http) as client:
        yield client
