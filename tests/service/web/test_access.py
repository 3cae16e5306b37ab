"""The HTTP port asks for the same tokens, and keeps the same limits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice

import httpx
import openai as package
import pytest
from openai import OpenAI

from hypnogram.client import CallFailed
from service.guard import limits
from service.rpc import interceptor
from service.settings import Settings
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.rpc.test_access import made_up
from tests.service.web.conftest import OTHER, goes_while_it_thinks, two_memories, with_http

MADE_UP = 990
ACCEPT = {"accept": "application/json, text/event-stream"}
SAY = [{"role": "user", "content": "hello"}]
ROUTES = {
    "/metrics": {},
    "/v1/models": {},
    "/v1/models/demo": {},
    "/v1/models/nosuch": {},
    "/v1/chat/completions": {"model": DEMO, "messages": SAY},
    "/v1/completions": {"model": "demo@1", "prompt": "hello"},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
}
OF_NO_MEMORY = ("/v1/models", "/mcp")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """One for all tests, because making one takes long."""
    with httpx.Client(verify=False, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    """A server with two memories, and texts of tokens by what they may."""
    with two_memories(tmp_path_factory.mktemp("guarded")) as running:
        tokens = Tokens(running.store.log.engine)
        texts = {memory: tokens.create(actor="ann", memory=memory, may="read")[1] for memory in (DEMO, OTHER, "*")}
        revoked, texts["revoked"] = tokens.create(actor="", memory="*", may="admin")
        tokens.revoke(revoked.id)
        texts["wrong"] = texts["*"][:-3] + "AAA"
        eventually(lambda: http.get(f"{running.http}/v1/models").status_code == 401)
        yield running, texts


def answer(http: httpx.Client, base: str, route: str, headers: dict[str, str]) -> httpx.Response:
    body = ROUTES[route]
    return http.post(base + route, json=body, headers=headers) if body else http.get(base + route, headers=headers)


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_is_open_without_a_valid_token(
    http: httpx.Client, guarded: tuple[Running, dict[str, str]], route: str
) -> None:
    running, texts = guarded
    for headers in (
        {},
        {"authorization": ""},
        {"authorization": f"Basic {texts['*']}"},
        {"authorization": f"Bearer {texts['wrong']}"},
        {"authorization": f"Bearer {texts['revoked']}"},
    ):
        refused = answer(http, running.http, route, headers)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in OF_NO_MEMORY])
def test_the_token_of_another_memory_reaches_nothing(
    http: httpx.Client, guarded: tuple[Running, dict[str, str]], route: str
) -> None:
    running, texts = guarded

    refused = answer(http, running.http, route, {"authorization": f"Bearer {texts[OTHER]}"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_permitted")


def test_made_up_tokens_reach_no_route(guarded: tuple[Running, dict[str, str]]) -> None:
    running, texts = guarded
    made, codes = made_up(list(texts.values())), Counter[int]()
    with closing(HTTPConnection(running.http.removeprefix("http://"), timeout=PATIENCE)) as connection:
        for route in (*ROUTES, "/", "/memories/demo"):
            body = json.dumps(ROUTES.get(route) or None).encode()
            for token in islice(made, MADE_UP // 9):
                headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **ACCEPT}
                connection.request("POST" if ROUTES.get(route) else "GET", route, body, headers)
                with connection.getresponse() as response:
                    codes[response.status] += 1
                    response.read()

    assert set(codes) == {401, 303}, "pages lead to the form that signs in"
    assert codes[303] == 2 * (MADE_UP // 9)


def test_metrics_are_for_those_who_may_read_all_memories_and_probes_are_open(
    http: httpx.Client,
    guarded: tuple[Running, dict[str, str]],
) -> None:
    running, texts = guarded

    assert answer(http, running.http, "/metrics", {"authorization": f"Bearer {texts['*']}"}).status_code == 200
    assert http.get(f"{running.http}/livez").status_code == 200
    eventually(lambda: http.get(f"{running.http}/readyz").status_code == 200)


def test_the_openai_client_sends_the_token_as_its_key(guarded: tuple[Running, dict[str, str]]) -> None:
    running, texts = guarded
    with OpenAI(base_url=f"{running.http}/v1", api_key=texts[DEMO], max_retries=0) as client:
        assert {model.id.partition("@")[0] for model in client.models.list()} == {DEMO}
        assert client.chat.completions.create(model=DEMO, messages=SAY).choices  # type: ignore[arg-type]
        with pytest.raises(package.PermissionDeniedError):
            client.chat.completions.create(model=OTHER, messages=SAY)  # type: ignore[arg-type]
    with (
        OpenAI(base_url=f"{running.http}/v1", api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(package.AuthenticationError),
    ):
        stranger.models.list()


def test_a_client_beyond_its_limits_is_told_when_to_call_again(http: httpx.Client, settings: Settings) -> None:
    limited = with_http(settings, client_requests=2)
    with run_server(limited) as running:
        assert [http.get(f"{running.http}/v1/models").status_code for _ in range(3)] == [200, 200, 429]
        refused = http.get(f"{running.http}/v1/models")

    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert (refused.json()["error"]["type"], refused.json()["error"]["code"]) == (
        "rate_limit_error",
        "rate_limit_exceeded",
    )


def test_a_page_beyond_a_limit_is_told_when_to_ask_again(http: httpx.Client, settings: Settings) -> None:
    with run_server(with_http(settings, client_requests=1)) as running:
        assert [http.get(f"{running.http}/").status_code for _ in range(2)] == [200, 429]
        refused = http.get(f"{running.http}/")

    assert refused.headers["content-type"].startswith("text/html")
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_a_form_beyond_a_limit_is_told_when_to_send_it_again(http: httpx.Client, settings: Settings) -> None:
    told = {"subject": "Bo Lind", "relation": "lives in", "object": "Oslo", "do": "add"}
    with run_server(with_http(settings, client_facts=1)) as running:
        running.client.create_memory(DEMO)
        for subject in ("Bo Lind", "Ida Berg"):
            refused = http.post(f"{running.http}/memories/{DEMO}/tell", data={**told, "subject": subject})

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_a_client_beyond_its_bytes_is_told_when_to_call_again(
    http: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MINUTE", 6000.0)  # so that no time passes
    body = {"model": DEMO, "messages": [{"role": "user", "content": "word " * 100}]}
    with run_server(with_http(settings, client_bytes=700)) as running:
        running.client.create_memory(DEMO)
        running.work()
        answers = [http.post(f"{running.http}/v1/chat/completions", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 6000
    assert answers[1].json()["error"]["code"] == "rate_limit_exceeded"
    assert "700 bytes of requests a minute" in answers[1].json()["error"]["message"]


def test_a_stream_ends_when_its_token_is_revoked(
    http: httpx.Client, guarded: tuple[Running, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "RECOGNIZED_SECONDS", 0.0)
    running, _ = guarded
    tokens = Tokens(running.store.log.engine)
    token, text = tokens.create(actor="", memory=DEMO, may="read")
    body = {"model": DEMO, "messages": [{"role": "user", "content": "word " * 200}], "stream": True}
    enough = threading.Event()
    monkeypatch.setattr(running.parrot, "think_after", 1)
    monkeypatch.setattr(running.parrot, "think_until", enough)
    with http.stream(
        "POST", f"{running.http}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {text}"}
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        tokens.revoke(token.id)
        enough.set()
        *_, last = [line for line in lines if line]

    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "invalid_api_key"


def test_one_address_has_one_limit_over_both_ports(http: httpx.Client, settings: Settings) -> None:
    with run_server(with_http(settings, client_requests=1)) as running:
        assert http.get(f"{running.http}/v1/models").status_code == 200
        with pytest.raises(CallFailed) as refused:
            list(running.client.memories())

    assert refused.value.code == "RESOURCE_EXHAUSTED"


def test_a_client_that_goes_before_the_first_chunk_leaves_its_place_to_another(
    http: httpx.Client, settings: Settings
) -> None:
    limited = with_http(settings, client_streams=1)
    with run_server(limited) as running:
        running.client.create_memory(DEMO)
        running.work()
        body = {"model": DEMO, "messages": SAY, "stream": True}

        goes_while_it_thinks(
            running, "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )

        assert http.post(f"{running.http}/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_gets_so_many_answers_at_the_same_time(http: httpx.Client, settings: Settings, stream: bool) -> None:
    limited = with_http(settings, client_streams=1)
    with run_server(limited) as running, ThreadPoolExecutor() as threads:
        running.client.create_memory(DEMO)
        running.work()
        body = {"model": DEMO, "messages": SAY, "stream": stream}

        def ask() -> int:
            return http.post(f"{running.http}/v1/chat/completions", json=body).status_code

        enough = running.parrot.think_until = threading.Event()
        first = threads.submit(ask)
        eventually(lambda: running.parrot.thinking)
        refused = ask()
        enough.set()
        assert (first.result(PATIENCE), refused) == (200, 429)
        assert ask() == 200
