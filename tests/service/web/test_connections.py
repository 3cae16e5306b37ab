"""Connections beyond a limit are told so, and those whose requests do not arrive are closed, so that others get in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.settings import Settings
from service.web.server import bound
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server, settings_in
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


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of gRPC and HTTP that gives a request a moment to arrive, and whose ports hold few connections."""
    with run_server(
        with_http(settings_in(tmp_path_factory.mktemp("brief")), max_connections=LIMIT, request_seconds=0.3)
    ) as running:
        running.client.create_memory(DEMO)
        running.work()
        yield running


POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n"
HALVES = {
    "nothing": b"",
    "half a line": b"GET /li",
    "half of the headers": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
    "half of the body": POST + b"Content-Type: application/json\r\n\r\n{",
    "half of a body in chunks": POST.replace(b"Content-Length: 90000", b"Transfer-Encoding: chunked")
    + b"Content-Type: application/json\r\n\r\n1\r\n{\r\n",
    "half of a form": POST.replace(b"v1/chat/completions", b"memories/demo/tell")
    + b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntext=",
    "half of the second request": ASK + ASK[:20],
    "half of the second body": ASK + POST + b"Content-Type: application/json\r\n\r\n{",
    "half of a body that was refused": POST + b"Content-Type: text/plain\r\n\r\n{",
}


def opened(server: Running) -> socket.socket:
    host, _, port = server.http.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def heard_until_closed(connection: socket.socket, drips: bool) -> bytes:
    """Returns what the server says before it closes the connection, on which another byte is sent now and then."""
    stopped = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not stopped.wait(0.05):
                connection.sendall(b"x")

    dripping = threading.Thread(target=drip if drips else lambda: None)
    dripping.start()
    heard = b""
    try:
        with suppress(ConnectionResetError):
            while said := connection.recv(1000):
                heard += said
    finally:
        stopped.set()
        dripping.join()
    return heard


@pytest.mark.parametrize("drips", [False, True], ids=["", "and drips"])
@pytest.mark.parametrize("half", HALVES)
def test_a_connection_whose_request_does_not_arrive_is_closed(brief: Running, half: str, drips: bool) -> None:
    with opened(brief) as connection:
        connection.sendall(HALVES[half])
        heard = heard_until_closed(connection, drips and half != "nothing")

    if half.startswith("half of") and "second" not in half and "refused" not in half and not drips:
        assert heard.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "request_timeout"' in heard
        assert b"HYPNOGRAM_REQUEST_SECONDS" in heard
    assert httpx.get(f"{brief.http}/livez", timeout=PATIENCE).status_code == 200


def test_half_sent_requests_keep_others_out_for_a_moment_alone(brief: Running) -> None:
    with ExitStack() as stack:
        for _ in range(LIMIT):
            stack.enter_context(opened(brief)).sendall(HALVES["half of the headers"])

        eventually(lambda: httpx.get(f"{brief.http}/livez", timeout=PATIENCE).status_code == 200)


def test_an_answer_may_take_longer_than_a_request(brief: Running) -> None:
    enough = brief.parrot.think_until = threading.Event()
    asked = {"model": DEMO, "prompt": "a parrot thinks", "max_tokens": 3, "stream": True}
    with (
        httpx.Client(timeout=PATIENCE) as client,
        ThreadPoolExecutor() as threads,
        opened(brief) as late,
    ):
        answer = threads.submit(client.post, f"{brief.http}/v1/completions", json=asked)
        try:
            eventually(lambda: brief.parrot.thinking)
            late.sendall(HALVES["half of the headers"])
            assert b" 408 " in heard_until_closed(late, drips=False), "the time of a request has passed since"
        finally:
            enough.set()
        assert answer.result(PATIENCE).text.endswith("data: [DONE]\n\n")
        assert client.get(f"{brief.http}/livez").status_code == 200


def test_a_body_does_not_wait_until_its_headers_are_acknowledged() -> None:
    with bound("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), PATIENCE):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
