"""What the HTTP port does with requests that no well-kept client sends, and with curl's."""

from __future__ import annotations

import json
import subprocess

import httpx
import pytest

from core.errors.base import InvalidField
from service.settings import Settings
from tests.service.conftest import DEMO, Running, run_server

CHAT = "/v1/chat/completions"
BODY = {"model": DEMO, "messages": [{"role": "user", "content": "hello"}]}


def test_curl_gets_server_sent_events(web: Running) -> None:
    body = json.dumps({**BODY, "stream": True})
    command = ["curl", "-sN", f"{web.http}{CHAT}", "-H", "Content-Type: application/json", "-d", body]

    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n\n")

    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert chunks[0]["object"] == "chat.completion.chunk"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (json.dumps({**BODY, "messages": [{"role": "user", "content": "\ud800"}]}).encode(), "application/json", 400),
        (json.dumps(BODY).encode(), "text/plain", 415),  # a page of another site can send it unasked
        (b" " * (65 * 1024), "application/json", 413),
    ],
    ids=["half", "list", "deep", "binary", "surrogate", "text", "large"],
)
def test_a_body_that_is_not_a_request_is_refused(http: httpx.Client, content: bytes, kind: str, status: int) -> None:
    answer = http.post(CHAT, content=content, headers={"content-type": kind})

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_routes_that_do_not_exist_are_refused_in_openai_s_form(http: httpx.Client) -> None:
    assert http.get("/v1/nothing").status_code == 404
    assert http.get(CHAT).status_code == 405
    assert http.get("/v1/nothing").json()["error"]["message"] == (
        "there is nothing at '/v1/nothing'; docs/http.md lists what there is"
    )


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_page_of_another_site_reaches_nothing_by_a_name_of_its_own(http: httpx.Client, host: str) -> None:
    assert http.post(CHAT, json=BODY, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8000", "LOCALHOST", "[::1]:80", "127.9.9.9"])
def test_names_of_this_machine_are_served(http: httpx.Client, host: str) -> None:
    assert http.post(CHAT, json=BODY, headers={"host": host}).status_code == 200


def test_who_acts_is_read_from_a_header_that_is_checked(http: httpx.Client) -> None:
    answer = http.get("/v1/models", headers={"hypnogram-actor": "x" * 201})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "hypnogram-actor"


@pytest.mark.parametrize("address", ["8000", "nowhere:x", "127.0.0.1:70000", ":8000"])
def test_an_address_that_is_not_one_is_refused(settings: Settings, address: str) -> None:
    wrong = settings.model_copy(update={"http": address})
    with pytest.raises(InvalidField, match="HOST:PORT") as refused, run_server(wrong):
        pass

    assert refused.value.field == "http"


def test_a_port_that_is_taken_is_refused(web: Running, settings: Settings) -> None:
    taken = settings.model_copy(update={"http": web.http.removeprefix("http://")})
    with pytest.raises(InvalidField, match="cannot be listened on"), run_server(taken):
        pass


def test_a_port_that_others_reach_is_refused(settings: Settings) -> None:
    with (
        pytest.raises(InvalidField, match="without authentication"),
        run_server(settings.model_copy(update={"http": "0.0.0.0:0"})),
    ):
        pass
