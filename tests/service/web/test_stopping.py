"""A server that stops says so: at once to calls that wait, in time to answers that take long, and in its log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hypnogram.client import new_fact
from service.settings import Settings
from tests.patience import PATIENCE, eventually
from tests.service.conftest import DEMO, Running, run_server
from tests.service.web.conftest import with_http
from tests.service.web.test_tools import ACCEPT, ARIA

ARIA_FACT = new_fact(*ARIA.values())
Ended = Callable[[], list[dict[str, Any]]]
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": DEMO, "messages": [{"role": "user", "content": "think hard"}]}),
    "text": ("/v1/completions", {"model": DEMO, "prompt": "think hard"}),
    "stream": ("/v1/completions", {"model": DEMO, "prompt": "think hard", "stream": True}),
}


def of_route(ended: Ended, route: str) -> list[tuple[str, str]]:
    """How the calls of a route ended, each with its reason."""
    return [(line["code"], line["reason"]) for line in ended() if line["call"] == route]


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    """The body of a call of a tool."""
    params = {"name": name, "arguments": {"memory": DEMO, **arguments}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@pytest.mark.parametrize("name", ["tell", "forget"])
def test_a_tool_that_waits_is_told_at_once_that_the_server_stops(settings: Settings, name: str) -> None:
    with run_server(with_http(settings, stop_seconds=PATIENCE)) as running, ThreadPoolExecutor() as threads:
        running.client.create_memory(DEMO)
        running.work()
        arguments: dict[str, Any] = ARIA
        if name == "forget":
            running.client.add_facts(DEMO, [ARIA_FACT])
            running.work()
            arguments = {"fact": next(iter(running.client.facts(DEMO))).fact}
        before = running.client.memory(DEMO).version
        body = tool(name, **arguments, wait_seconds=300)
        waiting = threads.submit(httpx.post, f"{running.http}/mcp", json=body, headers=ACCEPT, timeout=PATIENCE)
        eventually(lambda: waiting.done() or running.client.memory(DEMO).version > before)

        running.stop()

        result = json.loads(waiting.result(PATIENCE).text)["result"]
        assert result["isError"]
        assert result["content"][0]["text"].endswith("the server is stopping; resume on the next one")


@pytest.mark.parametrize("kind", [*ANSWERS, "recall"])
def test_an_answer_that_takes_too_long_is_refused_when_the_server_stops(
    settings: Settings, kind: str, caplog: pytest.LogCaptureFixture, ended: Ended
) -> None:
    path, body = ANSWERS.get(kind) or ("/mcp", tool("recall", question="think hard"))
    with run_server(with_http(settings)) as running, ThreadPoolExecutor() as threads:
        running.client.create_memory(DEMO)
        running.work()
        enough = running.parrot.think_until = threading.Event()
        try:
            asked = threads.submit(httpx.post, f"{running.http}{path}", json=body, headers=ACCEPT, timeout=PATIENCE)
            eventually(lambda: running.parrot.thinking)
            running.stop()
        finally:
            enough.set()

        answer = asked.result(PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    assert "Exception in ASGI application" not in caplog.text
    assert of_route(ended, path) == [("UNAVAILABLE", "SHUTTING_DOWN")]


def test_a_page_that_takes_too_long_says_that_the_server_stops(demo: Running, ended: Ended) -> None:
    path = "/memories/{memory}/chat"
    enough = demo.parrot.think_until = threading.Event()
    with ThreadPoolExecutor() as threads:
        try:
            form = {"question": "think hard"}
            url = demo.http + path.format(memory=DEMO)
            asked = threads.submit(httpx.post, url, data=form, timeout=PATIENCE)
            eventually(lambda: demo.parrot.thinking)
            demo.stop()
        finally:
            enough.set()

        answer = asked.result(PATIENCE)
    assert answer.status_code == 503
    assert "the server is stopping" in answer.text
    assert of_route(ended, path) == [("UNAVAILABLE", "SHUTTING_DOWN")]


def test_a_stream_that_takes_too_long_ends_without_a_traceback(
    demo: Running, caplog: pytest.LogCaptureFixture, ended: Ended
) -> None:
    path, body = ANSWERS["text"]
    demo.parrot.think_after = 1
    enough = demo.parrot.think_until = threading.Event()
    try:
        with httpx.stream("POST", f"{demo.http}{path}", json=body | {"stream": True}, timeout=PATIENCE) as answer:
            chunks = answer.iter_lines()
            assert "think" in next(chunks)
            demo.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
    finally:
        enough.set()
    assert "Exception in ASGI application" not in caplog.text
    assert of_route(ended, path) == [("UNAVAILABLE", "SHUTTING_DOWN")]
