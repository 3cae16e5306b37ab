"""A server with an HTTP port, and OpenAI's own client of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from service.app import forks
from service.settings import Settings
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server, settings_in
from tests.service.parrot import Parrot

FREE_PORT = "127.0.0.1:0"
OTHER = "other"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of gRPC and HTTP that has the memory `demo`, with its statistics prepared."""
    settings = with_http(settings_in(tmp_path_factory.mktemp("web")), max_message_bytes=64 * 1024)
    with run_server(settings) as running:
        running.client.create_memory(DEMO)
        running.work()
        yield running


@pytest.fixture
def demo(settings: Settings) -> Iterator[Running]:
    """A server of gRPC and HTTP of the test's own, that has the memory `demo`, with its statistics prepared."""
    with run_server(with_http(settings)) as running:
        running.client.create_memory(DEMO)
        running.work()
        yield running


@pytest.fixture
def forkable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets memories be forked although parrots store no artifacts."""
    monkeypatch.setattr(forks, "check_whole", lambda store, command: None)


@contextmanager
def two_memories(folder: Path) -> Iterator[Running]:
    """Runs a server of gRPC and HTTP that has the memories `demo` and `other`, and keeps them in `folder`."""
    with run_server(with_http(settings_in(folder))) as running:
        for memory in (DEMO, OTHER):
            running.client.create_memory(memory)
            running.work(memory)
        yield running


def goes_while_it_thinks(running: Running, path: str, body: bytes, headers: dict[str, str]) -> None:
    """Asks, and goes while the model thinks, until the server has noticed; returns once it stopped."""
    enough = running.parrot.think_until = threading.Event()
    try:
        with closing(HTTPConnection(running.http.removeprefix("http://"), timeout=PATIENCE)) as connection:
            connection.request("POST", path, body, headers)
            eventually(lambda: running.parrot.thinking)
        eventually(lambda: is_idle(running))
    finally:
        enough.set()
    assert running.parrot.closed.wait(PATIENCE)


def is_idle(running: Running) -> bool:
    """Whether no answer is generated for a client that is still there."""
    return "hypnogram_answers_running 0.0" in httpx.get(f"{running.http}/metrics").text


def with_http(settings: Settings, **changed: object) -> Settings:
    return settings.model_copy(update={"http": FREE_PORT, **changed})


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
