"""More connections than a port may hold: each beyond the limit is told so, and all is as before once others close."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.settings import Settings
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.web.conftest import with_http

LIMIT = 8
BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # of a client of gRPC
ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
GO_ON = b"GET "  # begins another request, so that the server does not close the connection as idle


@contextmanager
def late(server: Running) -> Iterator[Any]:
    """A client with a connection of its own, which channels of one process otherwise share."""
    with grpc.insecure_channel(server.client.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield health_pb2_grpc.HealthStub(channel)


@pytest.fixture
def narrow(settings: Settings) -> Iterator[Running]:
    """A server of gRPC and HTTP whose ports hold few connections."""
    with run_server(with_http(settings, max_connections=LIMIT)) as running:
        running.client.create_memory(DEMO)
        yield running


@contextmanager
def connected(address: str, number: int, says: bytes, goes_on: bytes = b"") -> Iterator[list[bytes]]:
    """Holds connections on which `says` was said, and `goes_on` once it was heard; yields the first of what each has
    heard."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with ExitStack() as stack:
        heard = list[bytes]()
        for _ in range(number):
            connection = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            connection.sendall(says)
            heard.append(connection.recv(1000))
            if goes_on and b" 503 " not in heard[-1]:
                connection.sendall(goes_on)
        yield heard


def test_the_http_port_says_that_it_has_its_connections(narrow: Running) -> None:
    with connected(narrow.http, LIMIT + 3, ASK, GO_ON) as heard:
        assert [answer.split()[1] for answer in heard] == [b"200"] * LIMIT + [b"503"] * 3

        refused = httpx.get(f"{narrow.http}/v1/models", timeout=PATIENCE)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("server_error", "too_many_connections")
        assert f"its {LIMIT} connections" in error["message"]
        assert narrow.client.memory(DEMO).memory.memory == DEMO, "the other port is not concerned"

    eventually(lambda: httpx.get(f"{narrow.http}/livez", timeout=PATIENCE).status_code == 200)


def test_many_that_are_refused_at_once_and_say_nothing_are_let_go(narrow: Running) -> None:
    with connected(narrow.http, LIMIT, ASK, GO_ON):
        host, _, port = narrow.http.removeprefix("http://").rpartition(":")
        with ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection((host, int(port)), PATIENCE)) for _ in range(10 * LIMIT)
            ]
            for connection in silent:
                assert connection.recv(1000).startswith(b"HTTP/1.1 503")
                assert connection.recv(1000) == b""

    eventually(lambda: httpx.get(f"{narrow.http}/livez", timeout=PATIENCE).status_code == 200)


def test_the_grpc_port_closes_what_is_beyond_its_limit(narrow: Running) -> None:
    held = 1  # by the client of the fixture
    with connected(narrow.client.address, LIMIT - held + 2, BEGIN) as heard:
        assert [bool(answer) for answer in heard] == [True] * (LIMIT - held) + [False] * 2
        with late(narrow) as health, pytest.raises(grpc.RpcError) as failure:
            health.Check(health_pb2.HealthCheckRequest())
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert narrow.client.memory(DEMO).memory.memory == DEMO, "those who are connected go on"
        assert httpx.get(f"{narrow.http}/livez", timeout=PATIENCE).status_code == 200, "so does the other port"

    def is_answered() -> bool:
        with late(narrow) as health:
            answer = health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=PATIENCE)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    eventually(is_answered)
